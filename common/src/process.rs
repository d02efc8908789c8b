//! Start a closure in a process of its own, wait for it, end it.

use std::cell::Cell;
use std::error::Error;
use std::io::{self, Write};
use std::os::fd::{AsFd, FromRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::ExitStatusExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitStatus;
use std::time::Duration;
use std::{fs, mem, thread};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{SigHandler, Signal, kill, signal};
use nix::unistd::{ForkResult, Pid, fork, getpid, getppid};

use crate::deadline::Deadline;
use crate::lock::guards_held;

/// A child process that runs a closure.
///
/// Python: `multiprocessing.Process` with the start method `fork`. System: `fork`, `waitpid`,
/// `pidfd_open`, `kill`.
///
/// The child starts as a copy of its parent: the closure and all it captures are there, and
/// memory made with [`Value`](crate::Value), [`Array`](crate::Array), [`Queue`](crate::Queue) or
/// [`Lock`](crate::Lock) before the fork is shared. Everything else is a copy, and changing it in
/// one process changes nothing in the other.
///
/// The child ends with its closure, and never later than its parent: the kernel kills it when
/// the parent ends, in whatever way (`PR_SET_PDEATHSIG`).
///
/// **Dropping** a process that was not joined kills it and waits for its end, so neither a zombie
/// nor a running child stays behind. It kills because whoever drops without joining has left
/// early, by `?` or a panic: waiting there could take for ever.
///
/// ```
/// use common::Process;
///
/// let mut child = Process::spawn("greeter", || println!("hello from a child"))?;
/// assert!(child.join()?.success());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "dropping a process kills it; join it to let it finish"]
#[derive(Debug)]
pub struct Process {
    name: String,
    pid: Pid,
    /// Only the process that spawned it may wait for it.
    parent: Pid,
    end: End,
}

/// What is known of a process's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    NotYet,
    Status(ExitStatus),
    /// Somebody else has waited for it.
    Lost,
}

/// Why a process could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpawnError {
    /// A forked child has one thread, with copies of whatever locks the other threads of its
    /// parent held at that moment, which nobody will ever release.
    #[error(
        "cannot fork while {0} threads run in this process: start the processes before the \
         threads, or start a fresh program with std::process::Command"
    )]
    Threads(usize),
    /// The child would inherit guards of locks that it does not own.
    #[error("cannot fork while holding {0} lock(s): drop the guards first")]
    LocksHeld(usize),
    /// The parent's standard output takes no more; the child would print its buffer again.
    #[error("cannot fork: standard output could not be flushed")]
    Flush(#[source] io::Error),
    /// The system refused: `EAGAIN` is the limit of processes (`ulimit -u`), `ENOMEM` memory.
    #[error("the system cannot start another process")]
    System(#[from] io::Error),
}

/// Why a process could not be waited for or signalled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProcessError {
    /// It was joined, or found dead: its pid may belong to somebody else by now.
    #[error("process {name:?} has ended already")]
    Ended {
        /// Its name.
        name: String,
    },
    /// It has ended, but other code of this program has waited for it (`waitpid(-1)`, or
    /// `SIGCHLD` set to be ignored since) and taken its status.
    #[error("process {name:?} has ended, and something else has taken its exit status")]
    StatusLost {
        /// Its name.
        name: String,
    },
    /// The handle was copied into a child by a fork; only the parent may use it.
    #[error("process {name:?} is not a child of this process: use its handle where it was spawned")]
    NotAChild {
        /// Its name.
        name: String,
    },
    /// The system refused.
    #[error("the system cannot wait for or signal the process")]
    System(#[from] io::Error),
}

/// What a process's closure may return: nothing, or a `Result` whose error ends the process with
/// exit code 1 and one message on standard error.
#[diagnostic::on_unimplemented(
    message = "a process returns `()` or `Result<(), E>`, not `{Self}`",
    note = "to hand a value to the parent, put it on a `Queue` or into a `Value`",
    note = "a closure that never returns can say so with `|| -> () {{ ... }}`"
)]
pub trait Outcome {
    /// The error to report, if any.
    fn error(self) -> Option<Box<dyn Error + Send + Sync>>;
}

impl Outcome for () {
    fn error(self) -> Option<Box<dyn Error + Send + Sync>> {
        None
    }
}

impl<E: Into<Box<dyn Error + Send + Sync>>> Outcome for Result<(), E> {
    fn error(self) -> Option<Box<dyn Error + Send + Sync>> {
        self.err().map(Into::into)
    }
}

impl Process {
    /// Starts `body` in a child process. Its `name` is for people: errors show it, and `ps` its
    /// first 15 bytes.
    ///
    /// The child's exit code is 0; 1 when `body` returns an error, printed with its causes on
    /// standard error; 101 when it panics. Text that the parent has printed so far appears once.
    ///
    /// `body` must be [`Send`] as for a thread, since it runs at the same time as the parent. It
    /// may borrow: the child has a copy of all that was borrowed. What it owns exists twice, and
    /// is dropped twice, in the parent at once: move no writer with text in its buffer.
    ///
    /// # Errors
    /// [`SpawnError`]. Nothing was started then.
    pub fn spawn<F, R>(name: impl Into<String>, body: F) -> Result<Process, SpawnError>
    where
        F: FnOnce() -> R + Send,
        R: Outcome,
    {
        let name = name.into();
        only_thread()?;
        match guards_held() {
            0 => {}
            held => return Err(SpawnError::LocksHeld(held)),
        }
        io::stdout().flush().map_err(SpawnError::Flush)?;
        keep_exit_statuses()?;

        let (parent, short) = (getpid(), short_name(&name));
        // SAFETY: this is the only thread (checked above, and nobody but this thread could have
        // started another since), so no lock of the allocator or of the standard library is
        // held by a thread that the child lacks: the child may run any code.
        match unsafe { fork() }.map_err(io::Error::from)? {
            ForkResult::Child => run(&name, &short, parent, body),
            ForkResult::Parent { child } => {
                let process = Process {
                    name,
                    pid: child,
                    parent,
                    end: End::NotYet,
                };
                let _handed_over = HandedOver::to(child);
                drop(body);
                Ok(process)
            }
        }
    }

    /// A program in place of a closure, where a fork is refused.
    #[cfg(test)]
    pub(crate) fn adopt(child: std::process::Child) -> Process {
        let pid = Pid::from_raw(child.id().cast_signed());
        Process {
            name: "program".into(),
            pid,
            parent: getpid(),
            end: End::NotYet,
        }
    }

    /// The process's number in the system.
    pub fn pid(&self) -> u32 {
        self.pid.as_raw().cast_unsigned()
    }

    /// The name given to [`spawn`](Process::spawn).
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it still runs, as of now. Python: `is_alive`.
    ///
    /// # Errors
    /// [`ProcessError::NotAChild`], [`ProcessError::StatusLost`].
    pub fn is_alive(&mut self) -> Result<bool, ProcessError> {
        Ok(self.wait(libc::WNOHANG)?.is_none())
    }

    /// Waits for its end. A second call returns the same status again.
    ///
    /// The status tells an exit code from the signal that ended it
    /// ([`ExitStatusExt::signal`]). Python: `join`, then `exitcode`, where a signal is negative.
    ///
    /// # Errors
    /// [`ProcessError::NotAChild`], [`ProcessError::StatusLost`].
    pub fn join(&mut self) -> Result<ExitStatus, ProcessError> {
        loop {
            if let Some(status) = self.wait(0)? {
                return Ok(status);
            }
        }
    }

    /// Waits for its end for at most `limit`; `None` if it still runs then.
    ///
    /// # Errors
    /// Those of [`join`](Process::join); [`ProcessError::System`] without a free file descriptor.
    pub fn join_timeout(&mut self, limit: Duration) -> Result<Option<ExitStatus>, ProcessError> {
        let deadline = Deadline::after(limit);
        if let Some(status) = self.wait(libc::WNOHANG)? {
            return Ok(Some(status));
        }
        // SAFETY: a system call on numbers. The pid is a child that nobody has reaped, so it
        // cannot have passed on to another process.
        let fd =
            Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_open, self.pid.as_raw(), 0) })
                .map_err(io::Error::from)?;
        // SAFETY: a new descriptor that belongs to nobody else.
        let pidfd = unsafe { OwnedFd::from_raw_fd(fd as i32) };
        loop {
            let left = deadline.remaining().unwrap_or(Duration::MAX);
            // Up, or a wait would turn into a spin in its last millisecond.
            let left =
                PollTimeout::try_from(left.as_micros().div_ceil(1000)).unwrap_or(PollTimeout::MAX);
            match poll(&mut [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)], left) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(error) => return Err(io::Error::from(error).into()),
            }
            let status = self.wait(libc::WNOHANG)?;
            if status.is_some() || deadline.has_passed() {
                return Ok(status);
            }
        }
    }

    /// Asks it to end (`SIGTERM`); it may refuse or take its time. Python: `terminate`.
    ///
    /// # Errors
    /// [`ProcessError::Ended`] when it was joined before: nobody is signalled then.
    pub fn terminate(&mut self) -> Result<(), ProcessError> {
        self.signal(Signal::SIGTERM)
    }

    /// Ends it at once (`SIGKILL`). Python: `kill`.
    ///
    /// # Errors
    /// [`ProcessError::Ended`] when it was joined before: nobody is signalled then.
    pub fn kill(&mut self) -> Result<(), ProcessError> {
        self.signal(Signal::SIGKILL)
    }

    fn signal(&mut self, signal: Signal) -> Result<(), ProcessError> {
        self.check_child()?;
        match self.end {
            // Not reaped: the pid is still this child's, even if it has ended.
            End::NotYet => Ok(kill(self.pid, signal).map_err(io::Error::from)?),
            _ => Err(ProcessError::Ended {
                name: self.name.clone(),
            }),
        }
    }

    /// The status, if it is known or, with `WNOHANG`, to be had without waiting.
    fn wait(&mut self, flags: libc::c_int) -> Result<Option<ExitStatus>, ProcessError> {
        self.check_child()?;
        let mut raw = 0;
        match self.end {
            End::Status(status) => return Ok(Some(status)),
            End::Lost => {
                return Err(ProcessError::StatusLost {
                    name: self.name.clone(),
                });
            }
            End::NotYet => {}
        }
        // The libc call, as nix's has an error instead of a status for a real-time signal.
        // SAFETY: writes one integer, to a valid place.
        match Errno::result(unsafe { libc::waitpid(self.pid.as_raw(), &raw mut raw, flags) }) {
            Ok(0) | Err(Errno::EINTR) => Ok(None),
            Ok(_) => {
                let status = ExitStatus::from_raw(raw);
                self.end = End::Status(status);
                Ok(Some(status))
            }
            Err(Errno::ECHILD) => {
                self.end = End::Lost;
                Err(ProcessError::StatusLost {
                    name: self.name.clone(),
                })
            }
            Err(error) => Err(io::Error::from(error).into()),
        }
    }

    fn check_child(&self) -> Result<(), ProcessError> {
        if getpid() == self.parent {
            return Ok(());
        }
        Err(ProcessError::NotAChild {
            name: self.name.clone(),
        })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Errors mean that it is gone already, or that it is not this process's to end.
        if self.end == End::NotYet && self.kill().is_ok() {
            let _ = self.join();
        }
    }
}

/// The child's whole life.
fn run<F, R>(name: &str, short: &[u8; 16], parent: Pid, body: F) -> !
where
    F: FnOnce() -> R,
    R: Outcome,
{
    // A parent that died before the request was made would never be noticed.
    if set_pdeathsig(Signal::SIGKILL).is_err() || getppid() != parent {
        exit(1);
    }
    // Made before the fork: a child's first use of the heap or of another piece of code costs a page
    // fault each.
    // SAFETY: reads up to the zero.
    unsafe { libc::prctl(libc::PR_SET_NAME, short.as_ptr()) };
    // All of it: an error's Display or Drop may panic as well as the body.
    let outcome = catch_unwind(AssertUnwindSafe(|| match body().error() {
        None => 0,
        Some(error) => {
            complain(&format!("process {name:?} failed: {}", chain(&*error)));
            1
        }
    }));
    let code = outcome.unwrap_or_else(|payload| {
        // The hook has printed it. Dropping a payload may panic once more.
        mem::forget(payload);
        101
    });
    match io::stdout().flush() {
        Err(error) if code == 0 => {
            complain(&format!(
                "process {name:?} failed: standard output: {error}"
            ));
            exit(1)
        }
        _ => exit(code),
    }
}

/// The first 15 bytes of a name, the most that the system keeps, and a zero.
fn short_name(name: &str) -> [u8; 16] {
    let mut short = [0; 16];
    let kept = name.bytes().take(short.len() - 1);
    short.iter_mut().zip(kept).for_each(|(to, byte)| *to = byte);
    short
}

/// Ends the process without the parent's exit handlers, of which it has a copy.
fn exit(code: i32) -> ! {
    // SAFETY: does not return, and nothing of this process is needed any more.
    unsafe { libc::_exit(code) }
}

/// One write, so that the lines of several processes do not mix; nobody to tell if it fails.
fn complain(line: &str) {
    let _ = io::stderr().write_all(format!("{line}\n").as_bytes());
}

/// An error and its causes in one line.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line.push_str(": ");
        line.push_str(&error.to_string());
        cause = error.source();
    }
    line
}

/// Makes sure that this is the only thread of the process.
fn only_thread() -> Result<(), SpawnError> {
    // A thread that was joined is listed for some microseconds more, longer on a busy machine.
    let patience = Deadline::after(Duration::from_millis(50));
    loop {
        match threads()? {
            1 => return Ok(()),
            threads if patience.has_passed() => return Err(SpawnError::Threads(threads)),
            _ => thread::yield_now(),
        }
    }
}

/// How many threads this process has.
fn threads() -> io::Result<usize> {
    const TASKS: &str = "/proc/self/task";
    // A directory has a link for each directory in it, and two more; asking for their number takes
    // one system call, where reading the directory takes five.
    match fs::metadata(TASKS)?.nlink() {
        links @ 3.. => Ok(links as usize - 2),
        _ => Ok(fs::read_dir(TASKS)?.count()),
    }
}

/// A program started by one that ignores `SIGCHLD` ignores it too, and the kernel then throws
/// its children's exit statuses away. Back to the default, which only keeps them.
fn keep_exit_statuses() -> io::Result<()> {
    let mut old = mem::MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: asks only, and writes to a valid place; read after it succeeded.
    let ignored = unsafe {
        Errno::result(libc::sigaction(
            libc::SIGCHLD,
            std::ptr::null(),
            old.as_mut_ptr(),
        ))?;
        old.assume_init().sa_sigaction == libc::SIG_IGN
    };
    if ignored {
        // SAFETY: the default handler runs no code of this program.
        unsafe { signal(Signal::SIGCHLD, SigHandler::SigDfl) }?;
    }
    Ok(())
}

thread_local! {
    static HANDED_OVER: Cell<Option<Pid>> = const { Cell::new(None) };
}

/// While it exists, what is dropped in this thread lives on in a child.
struct HandedOver;

impl HandedOver {
    fn to(child: Pid) -> Self {
        HANDED_OVER.set(Some(child));
        HandedOver
    }
}

impl Drop for HandedOver {
    fn drop(&mut self) {
        HANDED_OVER.set(None);
    }
}

/// The child that goes on using the value that is being dropped, if it was moved into one.
pub(crate) fn handed_over() -> Option<u32> {
    HANDED_OVER
        .get()
        .map(|child| child.as_raw().cast_unsigned())
}
