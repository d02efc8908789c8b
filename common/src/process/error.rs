//! What can go wrong with a process.

use std::io;

use crate::asleep::Deadlock;
use crate::points::Ending;

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
    /// This thread is ending: whether it holds locks is not known any more.
    #[error("cannot fork in a destructor of a thread-local variable: this thread is ending")]
    ThreadEnds,
    /// The parent's standard output takes no more; the child would print its buffer again.
    #[error("cannot fork: standard output could not be flushed")]
    Flush(#[source] io::Error),
    /// The system refused: `EAGAIN` is the limit of processes (`ulimit -u`), `ENOMEM` memory.
    #[error("the system cannot start another process")]
    System(#[from] io::Error),
}

impl Ending for SpawnError {}

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
    /// Nobody can go on: the process waits, too.
    #[error(transparent)]
    Deadlock(#[from] Deadlock),
    /// The system refused.
    #[error("the system cannot wait for or signal the process")]
    System(#[from] io::Error),
}
