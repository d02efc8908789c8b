//! Processes that belong together: all are joined, and the failure of one is the end of the others.

use std::cell::{Cell, RefCell};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::deadline::Deadline;
use crate::identity::Identity;
use crate::process::{Outcome, Process, ProcessError, SpawnError};

/// Why a scope has failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScopeError {
    /// A process of it has returned an error (exit code 1) or panicked (101), of which it has
    /// printed the reason, has ended itself with another code, or was ended by a signal.
    #[error("process {name:?} failed: {status}")]
    Failed {
        /// Its name.
        name: String,
        /// How it ended.
        status: ExitStatus,
    },
    /// How a process of it ended cannot be found out.
    #[error(transparent)]
    Process(#[from] ProcessError),
}

/// Who has failed, by its place among the processes, and how.
type Failure = (usize, ExitStatus);

/// Processes that belong together: [`scope()`] makes it.
///
/// It stays in the process that has made it; a closure for another one cannot have it:
///
/// ```compile_fail
/// common::scope(|scope| {
///     scope.spawn("outer", || {
///         let _ = scope.spawn("inner", || ());
///     })?;
///     anyhow::Ok(())
/// })?;
/// # anyhow::Ok(())
/// ```
///
/// A process may have a scope of its own.
#[derive(Debug)]
pub struct Scope {
    processes: RefCell<Vec<Process>>,
    /// All were ended.
    is_over: Cell<bool>,
    failure: Cell<Option<Failure>>,
}

/// A process of a [`Scope`], which [`spawn`](Scope::spawn) returns. It may be dropped: the scope
/// joins it.
#[derive(Debug)]
pub struct ScopedProcess<'scope> {
    scope: &'scope Scope,
    index: usize,
}

/// Runs `body`, which spawns processes in the scope that it is given, and then joins them all.
///
/// **When one of them fails, the others are ended at once**, whatever they wait for, and the error
/// names the one that has failed, and how. To fail is to end in any way but with exit code 0.
/// Whichever way the scope ends, none of its processes is left.
///
/// ```
/// use common::Queue;
///
/// let (numbers, sums) = (Queue::<u64>::new()?, Queue::<u64>::new()?);
/// common::scope(|scope| {
///     let count = scope.spawn("count", || (1..=3).try_for_each(|number| numbers.put(&number)))?;
///     scope.spawn("add", || -> anyhow::Result<()> {
///         let sum = numbers.iter().sum::<Result<u64, _>>()?;
///         Ok(sums.put(&sum)?)
///     })?;
///     count.join()?; // an error as soon as either has failed
///     numbers.close();
///     anyhow::Ok(())
/// })?;
/// assert_eq!(sums.try_get()?, 6);
/// # anyhow::Ok(())
/// ```
///
/// To borrow in a process takes no scope, since [a child has a copy](Process::spawn). What a scope
/// adds is that all are joined, and that nobody goes on waiting for one who has failed.
///
/// **Which failure is told?** If several have failed, as when one was killed and another one heard
/// of it, it is that of one which a signal has ended, or else the one found first. If `body`
/// returns an error, all are ended as well. When one had failed by then, of which `body` has not
/// heard by a [`join`](ScopedProcess::join), the error is that one's: the error of `body` is mostly
/// its consequence. A panic of `body` ends all, and then goes on.
///
/// **While `body` runs, nobody watches but its `join`s.** A `get` in `body`, from a process that
/// has failed, waits as it does without a scope, which is until [nobody can go
/// on](crate::Deadlock): leave such waits to the processes. And a scope in another scope's `body`
/// watches its own processes alone.
///
/// `E` is the error of your own: [`ScopeError`] must turn into it, as it does into `anyhow::Error`
/// and a `Box<dyn Error>`.
///
/// Python: none; `asyncio.TaskGroup` does it with tasks. System: `poll` on the pidfds of all.
///
/// # Errors
/// [`ScopeError`], or the error of `body`.
#[track_caller]
pub fn scope<T, E: From<ScopeError>>(body: impl FnOnce(&Scope) -> Result<T, E>) -> Result<T, E> {
    let deadline = Deadline::never();
    // Dropped in a panic, too.
    let scope = Scope {
        processes: RefCell::default(),
        is_over: Cell::new(false),
        failure: Cell::new(None),
    };
    match body(&scope) {
        Ok(value) => {
            scope.join_all(deadline)?;
            Ok(value)
        }
        Err(error) => {
            let cause = scope.end(None);
            Err(cause.map_or(error, |failure| scope.error(failure).into()))
        }
    }
}

impl Scope {
    /// Starts `body` in a process of this scope; all else is as in [`Process::spawn`].
    ///
    /// # Errors
    /// [`SpawnError`]. The other processes run on, until `?` ends the scope.
    pub fn spawn<F, R>(
        &self,
        name: impl Into<String>,
        body: F,
    ) -> Result<ScopedProcess<'_>, SpawnError>
    where
        F: FnOnce() -> R + Send,
        R: Outcome,
    {
        let process = Process::spawn(name, body)?;
        let mut processes = self.processes.borrow_mut();
        processes.push(process);
        let index = processes.len() - 1;
        Ok(ScopedProcess { scope: self, index })
    }

    fn join_all(&self, deadline: Deadline) -> Result<(), ScopeError> {
        let mut all = 0..self.processes.borrow().len();
        all.try_for_each(|index| self.join(index, deadline))?;
        self.processes.borrow_mut().clear(); // nobody is left to end
        Ok(())
    }

    /// Waits for the end of one, or for the first failure of any.
    fn join(&self, index: usize, deadline: Deadline) -> Result<(), ScopeError> {
        if let Some(failure) = self.failure.get() {
            return Err(self.error(failure));
        }
        // Known already, perhaps: `join_any` tells of each end once.
        let status = self.processes.borrow_mut()[index].join_timeout(Duration::ZERO);
        let mut ended = status.map(|status| status.map(|status| (index, status)));
        loop {
            match ended {
                Ok(Some((at, status))) if status.success() && at == index => return Ok(()),
                Ok(Some(failure)) if !failure.1.success() => {
                    return Err(self.error(self.end(Some(failure)).unwrap_or(failure)));
                }
                Ok(_) => {}
                Err(error) => {
                    let failure = self.end(None);
                    return Err(failure.map_or(error.into(), |failure| self.error(failure)));
                }
            }
            let mut processes = self.processes.borrow_mut();
            ended = Process::first(processes.iter_mut().collect(), deadline);
        }
    }

    /// Ends all, the first time; and who had failed by then, if anybody: the one that was found, or
    /// one that explains it.
    fn end(&self, found: Option<Failure>) -> Option<Failure> {
        if self.is_over.replace(true) {
            return None;
        }
        let mut processes = self.processes.borrow_mut();
        // One that dies lets go of its locks some time before it counts as ended, so its death may
        // be heard of before it can be seen.
        let is_ending = |process: &Process| !Identity::new(process.pid(), 0).is_alive();
        let by_itself: Vec<bool> = processes.iter().map(is_ending).collect();
        // Stopped before the first is killed: the next owner of its lock would complain of its
        // death. Killed before the first is waited for.
        for process in &mut *processes {
            let _ = process.signal(Signal::SIGSTOP);
        }
        // Not those of a user that this process is not any more.
        let will_end = |process: &mut Process| {
            !matches!(process.kill(), Err(ProcessError::System(_))) // but it may have ended
        };
        let will_end: Vec<bool> = processes.iter_mut().map(will_end).collect();
        let mut failures: Vec<Failure> = found.into_iter().collect();
        for (index, process) in processes.iter_mut().enumerate() {
            if will_end[index]
                && let Ok(status) = process.join()
                && !status.success()
                && (by_itself[index] || status.signal() != Some(Signal::SIGKILL as i32))
            {
                failures.push((index, status));
            }
        }
        let failure = failures
            .into_iter()
            .min_by_key(|(_, status)| status.signal().is_none()); // the first of those
        self.failure.set(failure);
        failure
    }

    fn error(&self, (index, status): Failure) -> ScopeError {
        let name = self.processes.borrow()[index].name().to_owned();
        ScopeError::Failed { name, status }
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        self.end(None);
    }
}

impl ScopedProcess<'_> {
    /// Waits until it has ended, for those who must go on before the scope's end: to close a queue
    /// when its last producer is done.
    ///
    /// # Errors
    /// [`ScopeError`], of this process or of **any other of the scope** that fails meanwhile or has
    /// failed before. All are ended then, and the scope fails with the same error, whatever becomes
    /// of this one.
    #[track_caller]
    pub fn join(&self) -> Result<(), ScopeError> {
        self.scope.join(self.index, Deadline::never())
    }

    /// The process's number in the system.
    pub fn pid(&self) -> u32 {
        self.scope.processes.borrow()[self.index].pid()
    }
}
