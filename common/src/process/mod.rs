//! Start a closure in a process of its own, wait for it, end it.

mod before_fork;
mod broken_pipe;
mod child;
mod error;
mod handover;

use std::cell::RefCell;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;
use std::{fmt, mem, ptr};

use nix::errno::Errno;
use nix::poll::PollFd;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Pid, fork, getpid};

use crate::asleep::{self, Look, OWNER, Upon, readable, until_readable};
use crate::deadline::{Deadline, LONGEST_SLEEP};
use crate::guards;
use crate::points::{self, Act, Points, around_with};
use crate::trace::{self, ObjectId};
use before_fork::{flush_c, keep_exit_statuses, only_thread, spare_descriptor};
pub(crate) use broken_pipe::end_if_panicked;
pub use broken_pipe::end_on_broken_pipe;
pub use child::Outcome;
pub use error::{ProcessError, SpawnError};
use handover::HandedOver;
pub(crate) use handover::handed_over;

/// A child process that runs a closure.
///
/// Python: `multiprocessing.Process` with the start method `fork`. System: `fork`, `pidfd_open`,
/// `waitid`, `pidfd_send_signal`. It holds a descriptor until its end is known, of which children
/// that are spawned meanwhile have copies.
///
/// The child starts as a copy of its parent: the closure and all it captures are there, and
/// memory made with [`Value`](crate::Value), [`Array`](crate::Array), [`Queue`](crate::Queue) or
/// [`Lock`](crate::Lock) before the fork is shared. Everything else is a copy, and changing it in
/// one process changes nothing in the other.
///
/// The child ends with its closure, and never later than its parent: the kernel kills it when
/// the parent ends, in whatever way (`PR_SET_PDEATHSIG`). A child that changes its user asks for it
/// again: [`end_with_parent`](Process::end_with_parent). A parent that becomes another user may
/// not end the children of its former one: start them after that.
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
    member: asleep::Child,
}

/// What is known of a process's end.
#[derive(Debug)]
enum End {
    /// The pidfd stands for this process alone, where its pid may be another's some day.
    NotYet(OwnedFd),
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
    /// may borrow: the child has a copy of all that was borrowed.
    ///
    /// ```compile_fail,E0277
    /// let counted = std::rc::Rc::new(1); // not for other threads
    /// let child = common::Process::spawn("counts", || println!("{counted}"));
    /// ```
    ///
    /// **What `body` owns exists twice, and is dropped twice**, in the parent at once: a temporary
    /// directory that it owns is deleted there, text in a writer's buffer is written there, too.
    /// Borrow it instead, and keep it until the child has ended. (Shared memory and the ends of a
    /// [`pipe`](crate::pipe()) know of this.) **Random number generators are copied, too**: seed
    /// them in the child, or all children draw the same numbers.
    ///
    /// # Errors
    /// [`SpawnError`]. Nothing was started then, and what `body` owned is dropped: the end of a
    /// pipe in it is closed.
    pub fn spawn<F, R>(name: impl Into<String>, body: F) -> Result<Process, SpawnError>
    where
        F: FnOnce() -> R + Send,
        R: Outcome,
    {
        let name = name.into();
        only_thread()?;
        match guards::held() {
            Some(0) => {}
            Some(held) => return Err(SpawnError::LocksHeld(held)),
            None => return Err(SpawnError::ThreadEnds),
        }
        io::stdout().flush().map_err(SpawnError::Flush)?;
        flush_c();
        asleep::found();
        keep_exit_statuses()?;
        spare_descriptor()?;

        let spawn = || Self::forked(name, body);
        around_with(
            Act::Spawn,
            ObjectId::NONE,
            Deadline::NEVER,
            spawn,
            Self::pid,
        )
    }

    /// This process has no other thread, and nothing that must not be there twice.
    fn forked<F, R>(name: String, body: F) -> Result<Process, SpawnError>
    where
        F: FnOnce() -> R + Send,
        R: Outcome,
    {
        let (parent, short) = (getpid(), child::short_name(&name));
        // SAFETY: this is the only thread (checked above, and nobody but this thread could have
        // started another since), so no lock of the allocator or of the standard library is
        // held by a thread that the child lacks: the child may run any code.
        match guards::without(|| unsafe { fork() }) {
            Ok(ForkResult::Child) => child::run(name, &short, parent, body),
            Ok(ForkResult::Parent { child: pid }) => {
                let process = Process {
                    member: asleep::Child::forked(pid.as_raw().cast_unsigned(), &name),
                    name,
                    pid,
                    parent,
                    end: End::of(pid)?,
                };
                let _handed_over = HandedOver::to(pid);
                drop(body);
                Ok(process)
            }
            Err(error) => {
                asleep::Child::not_forked();
                Err(io::Error::from(error).into())
            }
        }
    }

    /// A program in place of a closure, where a fork is refused.
    #[cfg(test)]
    pub(crate) fn adopt(child: std::process::Child) -> io::Result<Process> {
        let pid = Pid::from_raw(child.id().cast_signed());
        Ok(Process {
            name: "program".into(),
            pid,
            parent: getpid(),
            end: End::of(pid)?,
            member: asleep::Child::none(),
        })
    }

    /// The name of the calling process: the one given to [`spawn`](Process::spawn), or `main`.
    /// Python: `current_process().name`.
    pub fn current_name() -> &'static str {
        child::current_name()
    }

    /// Makes the calling process end with its parent again. For a child that has changed its user,
    /// its group or its capabilities, since the system then forgets that it was asked to. Without
    /// effect in the first process.
    ///
    /// # Errors
    /// The system refused (`prctl`).
    pub fn end_with_parent() -> io::Result<()> {
        child::end_with_parent()
    }

    /// It does nothing but answer requests.
    pub(crate) fn only_answers(&mut self) {
        self.member.only_answers();
    }

    /// Upon whom it depends when the first of these ends: upon one of them, too, whose end can come
    /// about in a way that the family does not see, as it runs another program.
    pub(crate) fn first_end_of<'a>(mut all: impl Iterator<Item = &'a Process>) -> Upon {
        let unseen = all.find(|process| !process.member.is_listed());
        unseen.map_or(Upon::Anybody, |it| Upon::AnybodyAndTheEndOf(it.pid()))
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
        Ok(self.try_wait()?.is_none())
    }

    /// Waits for its end. A second call returns the same status again.
    ///
    /// The status tells an exit code from the signal that ended it
    /// ([`ExitStatusExt::signal`]). Python: `join`, then `exitcode`, where a signal is negative.
    ///
    /// # Errors
    /// [`ProcessError::NotAChild`], [`ProcessError::StatusLost`].
    /// [`ProcessError::Deadlock`]: it waits, too, and nobody can go on. It still runs then.
    #[track_caller]
    pub fn join(&mut self) -> Result<ExitStatus, ProcessError> {
        let deadline = Deadline::never();
        loop {
            if let Some(status) = self.join_until(deadline)? {
                return Ok(status);
            }
        }
    }

    /// Waits for its end for at most `limit`; `None` if it still runs then.
    ///
    /// # Errors
    /// Those of [`join`](Process::join).
    #[track_caller]
    pub fn join_timeout(&mut self, limit: Duration) -> Result<Option<ExitStatus>, ProcessError> {
        self.join_until(Deadline::within(limit))
    }

    fn join_until(&mut self, deadline: Deadline) -> Result<Option<ExitStatus>, ProcessError> {
        self.check_child()?;
        let End::NotYet(pidfd) = &self.end else {
            return self.try_wait();
        };
        let what = format_args!("the end of {OWNER}");
        let upon = || Upon::Process(self.pid());
        wait_for_an_end(&mut [readable(pidfd)], deadline, what, upon)?;
        self.try_wait()
    }

    /// Waits for the first of several to end: its place among them, and its status. If several have
    /// ended, it is the first of these in the order given.
    ///
    /// It waits for those whose end is not known yet; none left is `None`, at once. So each end is
    /// told once, here or by [`join`](Process::join), [`join_timeout`](Process::join_timeout) or
    /// [`is_alive`](Process::is_alive), and a loop ends with the last process:
    ///
    /// ```
    /// # use common::Process;
    /// let mut children = [Process::spawn("one", || ())?, Process::spawn("two", || ())?];
    /// while let Some((index, status)) = Process::join_any(&mut children)? {
    ///     println!("{}: {status}", children[index].name());
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// It takes what refers to processes: `&mut children`, `[&mut server, &mut client]`, a map's
    /// `values_mut()`. Python: `multiprocessing.connection.wait` of their `sentinel`s. System: one
    /// `poll` for all.
    ///
    /// # Errors
    /// Those of [`join`](Process::join), for any of them: the error has its name. A
    /// [`StatusLost`](ProcessError::StatusLost) is told once, too.
    #[track_caller]
    pub fn join_any<'a>(
        processes: impl IntoIterator<Item = &'a mut Process>,
    ) -> Result<Option<(usize, ExitStatus)>, ProcessError> {
        Self::first(processes.into_iter().collect(), Deadline::never())
    }

    /// Waits for the first of several to end as [`join_any`](Process::join_any) does, for at most
    /// `limit`; `None` if all that are left still run then. None left is `None`, too, and at once:
    /// who calls it in a loop counts the ends.
    ///
    /// # Errors
    /// Those of [`join_any`](Process::join_any).
    #[track_caller]
    pub fn join_any_timeout<'a>(
        processes: impl IntoIterator<Item = &'a mut Process>,
        limit: Duration,
    ) -> Result<Option<(usize, ExitStatus)>, ProcessError> {
        Self::first(processes.into_iter().collect(), Deadline::within(limit))
    }

    /// The first to end of those whose end is not known.
    pub(crate) fn first(
        mut processes: Vec<&mut Process>,
        deadline: Deadline,
    ) -> Result<Option<(usize, ExitStatus)>, ProcessError> {
        for process in &processes {
            process.check_child()?;
        }
        loop {
            let awaited = processes.iter().enumerate();
            let (indices, mut ends): (Vec<usize>, Vec<PollFd>) = awaited
                .filter_map(|(index, process)| match &process.end {
                    End::NotYet(pidfd) => Some((index, readable(pidfd))),
                    End::Status(_) | End::Lost => None,
                })
                .unzip();
            if ends.is_empty() {
                return Ok(None);
            }
            let names = Names(&indices, &processes);
            let upon = || Self::first_end_of(indices.iter().map(|&index| &*processes[index]));
            let what = format_args!("the first end of {names}");
            wait_for_an_end(&mut ends, deadline, what, upon)?;
            match ends.iter().position(|end| end.any() == Some(true)) {
                Some(at) => {
                    let index = indices[at];
                    if let Some(status) = processes[index].try_wait()? {
                        return Ok(Some((index, status)));
                    }
                }
                None if deadline.has_passed() => return Ok(None),
                None => {}
            }
        }
    }

    /// Asks it to end (`SIGTERM`); it may refuse or take its time. Python: `terminate`.
    ///
    /// # Errors
    /// [`ProcessError::Ended`] when it was joined before, and those of [`join`](Process::join):
    /// nobody is signalled then.
    pub fn terminate(&mut self) -> Result<(), ProcessError> {
        self.signal(Signal::SIGTERM)
    }

    /// Ends it at once (`SIGKILL`). Python: `kill`.
    ///
    /// # Errors
    /// [`ProcessError::Ended`] when it was joined before, and those of [`join`](Process::join):
    /// nobody is signalled then.
    pub fn kill(&mut self) -> Result<(), ProcessError> {
        self.signal(Signal::SIGKILL)
    }

    pub(crate) fn signal(&mut self, signal: Signal) -> Result<(), ProcessError> {
        self.check_child()?;
        let End::NotYet(pidfd) = &self.end else {
            let name = self.name.clone();
            return Err(ProcessError::Ended { name });
        };
        let (fd, info) = (pidfd.as_raw_fd(), ptr::null::<libc::siginfo_t>());
        // SAFETY: a system call on numbers, and a pointer to nothing.
        let sent =
            unsafe { libc::syscall(libc::SYS_pidfd_send_signal, fd, signal as i32, info, 0) };
        match Errno::result(sent) {
            Err(Errno::ESRCH) => Err(self.lost()),
            sent => Ok(sent.map(drop).map_err(io::Error::from)?),
        }
    }

    /// The status, if it is known or to be had without waiting.
    fn try_wait(&mut self) -> Result<Option<ExitStatus>, ProcessError> {
        self.check_child()?;
        let pidfd = match &self.end {
            End::NotYet(pidfd) => pidfd.as_raw_fd().cast_unsigned(),
            End::Status(status) => return Ok(Some(*status)),
            End::Lost => return Err(self.lost()),
        };
        // The libc call, as nix's has an error instead of a status for a real-time signal.
        // SAFETY: zeroes are a siginfo_t; the call fills it in. Its fields are those of a child.
        let (waited, pid, code, status) = unsafe {
            let mut info: libc::siginfo_t = mem::zeroed();
            let flags = libc::WEXITED | libc::WNOHANG;
            let waited = libc::waitid(libc::P_PIDFD, pidfd, &raw mut info, flags);
            (waited, info.si_pid(), info.si_code, info.si_status())
        };
        match Errno::result(waited) {
            Ok(_) if pid == 0 => Ok(None),
            Ok(_) => {
                // As waitpid has it.
                let status = ExitStatus::from_raw(match code {
                    libc::CLD_EXITED => status << 8,
                    libc::CLD_DUMPED => status | 0x80,
                    _ => status,
                });
                self.member.ended(status);
                trace::ended(self.pid(), status);
                broken_pipe::end_if_signalled(status.signal());
                self.end = End::Status(status);
                Ok(Some(status))
            }
            Err(Errno::ECHILD) => Err(self.lost()),
            Err(error) => Err(io::Error::from(error).into()),
        }
    }

    fn lost(&mut self) -> ProcessError {
        self.end = End::Lost;
        ProcessError::StatusLost {
            name: self.name.clone(),
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

/// Those of some of the processes, for when it comes to that.
struct Names<'a>(&'a [usize], &'a [&'a mut Process]);

impl fmt::Display for Names<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.0.iter().map(|&index| &self.1[index].name);
        f.debug_list().entries(names).finish()
    }
}

/// Waits until one of these can be read, or the deadline has passed.
fn wait_for_an_end(
    ends: &mut [PollFd<'_>],
    deadline: Deadline,
    what: fmt::Arguments<'_>,
    upon: impl Fn() -> Upon,
) -> Result<(), ProcessError> {
    let ends = RefCell::new(ends);
    let nap = |limit| until_readable(&mut ends.borrow_mut(), limit);
    let look = || nap(Duration::ZERO).map_or_else(|| Look::InVain(upon()), Look::Found);
    let points = Points::of(Act::Join, ObjectId::NONE, deadline);
    points.before();
    let waited = asleep::wait(deadline, LONGEST_SLEEP, what, nap, look);
    points.after(points::outcome(&waited));
    waited?.transpose()?;
    Ok(())
}

impl Drop for Process {
    fn drop(&mut self) {
        // Errors mean that it is gone already, or that it is not this process's to end.
        if matches!(self.end, End::NotYet(_)) && self.kill().is_ok() {
            let _ = self.join();
        }
    }
}

impl End {
    /// Of a child that was forked just now.
    fn of(child: Pid) -> io::Result<End> {
        // SAFETY: a system call on numbers.
        let opened = unsafe { libc::syscall(libc::SYS_pidfd_open, child.as_raw(), 0) };
        match Errno::result(opened) {
            // SAFETY: a new descriptor that belongs to nobody else.
            Ok(fd) => Ok(End::NotYet(unsafe { OwnedFd::from_raw_fd(fd as i32) })),
            // A handler of SIGCHLD has waited for it already.
            Err(Errno::ESRCH) => Ok(End::Lost),
            Err(error) => {
                let _ = kill(child, Signal::SIGKILL);
                let _ = waitpid(child, None);
                Err(error.into())
            }
        }
    }
}
