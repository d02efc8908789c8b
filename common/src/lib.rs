//! common
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
compile_error!(
    "this project needs Linux with glibc (futex, robust mutexes, pidfd): use a Linux machine, a \
     container, or WSL 2"
);

mod codec;
mod cursor;
mod deadline;
mod futex;
mod identity;
mod lock;
mod manager;
mod memory;
mod pipe;
mod pool;
mod process;
mod queue;
mod ring;
mod shared;

pub use lock::{Guard, Lock, LockError};
pub use manager::{LockProxy, LockProxyGuard, Manager, ManagerError, ValueProxy};
pub use pipe::{Connection, PipeError, pipe};
pub use pool::{AsyncResult, Pool, PoolError, TaskError};
pub use process::{Outcome, Process, ProcessError, SpawnError};
pub use queue::{GetError, PutError, Queue};
pub use shared::{Array, Value};
