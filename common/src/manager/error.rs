//! What can go wrong with a manager and its proxies.

use std::io;

use crate::asleep::Deadlock;
use crate::process::SpawnError;

/// Why a manager did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManagerError {
    /// The server process has ended.
    #[error("the manager's server process (pid {pid}) has ended")]
    Gone {
        /// Its pid.
        pid: u32,
    },
    /// This thread holds the lock already. Waiting for itself, it would wait for ever.
    #[error("this thread holds the manager's lock already: drop its guard before taking it again")]
    AlreadyHeld,
    /// Nobody can go on: the lock's holder waits, too.
    #[error(transparent)]
    Deadlock(#[from] Deadlock),
    /// The value's `Serialize` failed; the manager's copy is unchanged.
    #[error("the value cannot be encoded")]
    Encode(#[source] postcard::Error),
    /// The value is not of the proxy's type.
    #[error("the value cannot be decoded: {0}")]
    Decode(String),
    /// The value is too large; the manager's copy is unchanged.
    #[error("a value of {size} bytes is too large for a manager, which takes {limit}")]
    TooLarge {
        /// Its size when encoded, in bytes.
        size: usize,
        /// The largest size, in bytes.
        limit: usize,
    },
    /// There is no such object in the server: the proxy was made for another kind.
    #[error("the manager has no such value or lock: the proxy is for another one")]
    NoSuchObject,
    /// The server has no descriptors left for another client.
    #[error(
        "the manager's server has no file descriptors left for another client: see `ulimit -n`"
    )]
    TooManyClients,
    /// The server could not be started.
    #[error("the manager's server process cannot be started")]
    Start(#[from] SpawnError),
    /// The system refused.
    #[error("the system cannot connect to the manager")]
    System(#[source] io::Error),
}
