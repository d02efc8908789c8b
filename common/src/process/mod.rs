//! Start a closure in a process of its own, wait for it, end it.

mod before_fork;
mod broken_pipe;
mod child;
mod error;
mod handover;

use std::io::{self, Write};
use std::os::fd::{AsFd, FromRawFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{ForkResult, Pid, fork, getpid};

use crate::deadline::Deadline;
use crate::guards;
use before_fork::{keep_exit_statuses, only_thread};
pub(crate) use broken_pipe::end_if_panicked;
pub use broken_pipe::end_on_broken_pipe;
pub use child::Outcome;
pub use error::{ProcessError, SpawnError};
use handover::HandedOver;
pub(crate) use handover::handed_over;

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

impl Process {
    /// Starts `body` in a child process. Its `name` is for people: errors show it, and `ps` its
    /// first 15 bytes.
    ///
    /// The child's exit code is 0; 1 when `body` returns an error, printed with its causes on
    /// standard error; 101 when it panics, which is printed, and then the process's name. Text that
    /// the parent has printed so far appears once.
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
        match guards::held() {
            0 => {}
            held => return Err(SpawnError::LocksHeld(held)),
        }
        io::stdout().flush().map_err(SpawnError::Flush)?;
        keep_exit_statuses()?;

        let (parent, short) = (getpid(), child::short_name(&name));
        // SAFETY: this is the only thread (checked above, and nobody but this thread could have
        // started another since), so no lock of the allocator or of the standard library is
        // held by a thread that the child lacks: the child may run any code.
        match unsafe { fork() }.map_err(io::Error::from)? {
            ForkResult::Child => child::run(name, &short, parent, body),
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

    /// The name of the calling process: the one given to [`spawn`](Process::spawn), or `main`.
    /// Python: `current_process().name`.
    pub fn current_name() -> &'static str {
        child::current_name()
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
                broken_pipe::end_if_signalled(status.signal());
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
