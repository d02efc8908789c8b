//! Processes that work together, on Linux: Python's `multiprocessing`, in Rust.
//!
//! | Python's `multiprocessing` | here | files | made of |
//! |---|---|---|---|
//! | `Process` | [`Process`] | `process/` | `fork`, `waitid`, a pidfd, `prctl` |
//! | none; `asyncio.TaskGroup`, of tasks | [`scope()`] | `scope.rs` | `poll` on pidfds |
//! | `Lock` | [`Lock`] | `lock.rs` | a robust `pthread_mutex` in shared memory |
//! | `Value`, `Array` | [`Value`], [`Array`] | `shared.rs` | `mmap`, and a lock |
//! | `Queue` | [`Queue`] | `cursor.rs`, `ring.rs`, `queue.rs` | `mmap`, locks, `futex` |
//! | `Pipe`, `Connection` | [`pipe()`], [`Connection`] | `pipe.rs` | two queues |
//! | `Manager`, proxies | [`Manager`], [`ValueProxy`], [`LockProxy`] | `manager/` | a process, sockets |
//! | `Pool`, `AsyncResult` | [`Pool`], [`AsyncResult`] | `pool/` | processes and two rings |
//!
//! Small files serve them all: `memory.rs` (shared memory), `deadline.rs` (when to give up),
//! `atomic.rs` and `futex.rs` (sleep and wake), `patience.rs` (what comes before a sleep),
//! `words.rs` (errors and panics as text), `codec.rs` (values to bytes), `identity.rs` (which
//! process, beyond doubt), `guards.rs` (how many locks a thread holds), `chaos.rs` (delays on
//! purpose), `trace/` (what happens, for an onlooker), `points.rs` (where both come in), `object.rs`
//! (what is shared, and where it was made), `asleep/` (who waits for what cannot come), `mutex.rs`
//! (the mutex under every lock) and `owned.rs` (which process holds it). Each file uses only those
//! named before it, first of these, then of the table: so this is also an order to read them in.
//! `tests/order.rs` holds it.
//!
//! # What all of it promises
//!
//! - **No process outlives its parent**, however the parent ends. ([`Process`] says what to do
//!   where one of the two changes its user.)
//! - **Who depends on a process that was killed, at any moment, gets an error that says so.** It
//!   comes within a second where what is waited for knows its other side: a lock, a pipe, a join, a
//!   pool, a manager.
//! - **Nobody waits for what cannot come.** A queue does not know who would put or take. So when
//!   nobody can go on, one call is an error with the whole chain, [`Deadlock`], within seconds. As
//!   long as another process goes on, it might still put; a table there says who is told. Then an
//!   [`Onlooker`] can still see who waits for whom.
//! - **Nothing stays behind**: no process, no name in the file system.
//! - **A user's mistake is an error that says what to do**, and works again once it is mended.
//!
//! # Whom it trusts
//!
//! This is **isolation of crashes, not of attackers**. All processes of one family trust each
//! other: a child can write to the memory that it shares (a list of robust locks that it has
//! written over makes its parent's unlock write anywhere), and where the system allows it, a
//! process can write to any other of its user (`/proc/PID/mem`). For code that you do not trust,
//! start a fresh program ([`std::process::Command`]) with a user and limits of its own, and talk to
//! it over a socket or a pipe. For other users there is nothing to open: nothing here has a name,
//! neither in the file system nor as an abstract socket.
//!
//! # What it asks for
//!
//! Everything that processes share is made before the fork, by their common parent, and captured
//! by the closures. [`Process::spawn`] refuses to fork while other threads run, since the child
//! would have only one of them; so start processes first and threads after that.
//!
//! Linux of 64 bit, from 5.4 on (for a pidfd's `waitid`), with glibc, from 2.30 on (for
//! `pthread_mutex_clocklock`): for example Ubuntu 20.04, Debian 11 or RHEL 9,
//! and later, in a container or WSL 2, too.
//!
//! With `panic = "abort"` all of it works, but a panic is an abort: a child's status tells of
//! `SIGABRT` in place of exit code 101, and a task's error is that its worker ended so.
//!
//! # What it reads from the environment
//!
//! `MP_CHAOS=SEED`, to find a bug that shows seldom: before and after a lock, an unlock, a put, a
//! get, a spawn, and the claim of a task or of a pipe's end, a process may yield or sleep a little:
//! at most 50 ms at a time, and only while the sleeps of all processes together stay below a fifth
//! of the run so far. When and how long is drawn from the seed, a whole number; from the process's
//! name, its number among those that its parent has spawned, and the same of its ancestors; and from
//! the point, and how often the process was there. So for the same program, the same seed draws the
//! same. **It does not run the same**: the system still chooses who runs when. Without this variable
//! and the next one, a point costs a look at one word.
//!
//! `MP_TRACE=FILE`, to see what a program has done: each process writes there what it does at these
//! points and around a join and a callback, what it makes and closes, when it sleeps in a call
//! without a limit and for what, what a manager serves, and how all end. What a process has done
//! until it was killed is there. The file has room for 260,000 events, or for as many as
//! `MP_TRACE_EVENTS` says, and counts those that find none; one of an earlier run is replaced, and
//! any other file let be. A program that a process of the family starts in turn, if it uses this crate, joins
//! in. [`trace`] has the reader, and for tools more: to stop or kill a process at one of its points.
//!
//! `MP_ASLEEP=off`, to let processes wait on that wait for what cannot come: without it, one of them
//! gets a [`Deadlock`]. An [`Onlooker`] sees nothing of them then.
//!
//! # In a crate of your own
//!
//! `common` is a name for a workspace's own use, so give it another one, and the address that you
//! have cloned it from:
//!
//! ```toml
//! [dependencies]
//! multiprocessing = { package = "common", git = "ADDRESS" }
//! ```
//!
//! The smallest program:
//!
//! ```
//! # extern crate common as multiprocessing;
//! use multiprocessing::Process;
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let mut child = Process::spawn("greeter", || println!("hello from a child"))?;
//!     assert!(child.join()?.success());
//!     Ok(())
//! }
//! ```
#[cfg(not(all(target_os = "linux", target_env = "gnu", target_pointer_width = "64")))]
compile_error!(
    "this project needs Linux of 64 bit, from 5.4 on, with glibc, from 2.30 on (futex, robust \
     mutexes, pidfd): use a Linux machine, a container, or WSL 2"
);

mod asleep;
mod atomic;
mod chaos;
mod codec;
mod cursor;
mod deadline;
mod futex;
mod guards;
mod identity;
mod lock;
mod manager;
mod memory;
mod mutex;
mod object;
mod owned;
mod patience;
mod pipe;
mod points;
mod pool;
mod process;
mod queue;
mod ring;
mod scope;
mod shared;
pub mod trace;
mod words;

pub use asleep::{Deadlock, LookError, Onlooker, Waits};
pub use lock::{Guard, Lock, LockError};
pub use manager::{LockProxy, LockProxyGuard, Manager, ManagerError, ValueProxy};
pub use pipe::{Connection, PipeError, pipe, pipe_with_capacity};
pub use pool::{AsyncResult, Pool, PoolError, TaskData, TaskError};
pub use process::{Outcome, Process, ProcessError, SpawnError, end_on_broken_pipe};
pub use queue::{GetError, PutError, Queue};
pub use scope::{Scope, ScopeError, ScopedProcess, scope};
pub use shared::{Array, Value};
