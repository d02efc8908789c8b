//! The four ideas beyond one machine: processes, a queue, shared values and a pool whose parts run
//! on any hosts and meet at a server of NATS.
//!
//! | Here | On one machine, in `common` | In NATS |
//! |---|---|---|
//! | [`Cluster::process`], [`Watch`] | `Process` | a client, and messages that say it is there |
//! | [`Queue`] | `Queue` | a stream of the kind "work queue", which refuses what does not fit |
//! | [`Value`] | `Value`, `Manager` | an entry of a bucket, changed if nobody else has changed it |
//! | [`Pool`] | `Pool` | a work queue of tasks, and a stream with one result for each |
//!
//! A program is one binary with several **roles**. Its parent has none; [`Cluster::process`] starts
//! the same binary once more with a role, here, or you start it so on another host. In that process
//! the same call does the role's work, and does not return.
//!
//! Nothing here is async: `runtime.rs` hides it, so that the programs read as the chapters' do.

#![warn(missing_docs)]

mod alive;
mod cluster;
mod options;
mod pool;
mod process;
mod pull;
mod queue;
mod reader;
mod runtime;
mod server;
mod value;

pub use alive::{Change, Watch};
pub use cluster::Cluster;
pub use options::Options;
pub use pool::{Pool, Task, TaskError};
pub use process::Process;
pub use queue::{Item, Queue};
pub use server::{Listen, Server};
pub use value::Value;
