//! Where tokio is: its threads talk to the server, and the program's own thread waits for them.

use std::future::Future;

use anyhow::{Context, Result};
use nix::sys::signal::{SigSet, Signal};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

pub struct Threads(Runtime);

impl Threads {
    pub fn start() -> Result<Threads> {
        let mut pipe = SigSet::empty();
        pipe.add(Signal::SIGPIPE);
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            // `end_on_broken_pipe` lets a process end by it. But here it would come of a connection
            // that the server has closed, too, which is to be made again.
            .on_thread_start(move || {
                let _ = pipe.thread_block(); // it fails for no such set
            })
            .build()
            .context("no thread can be started for the connection")?;
        Ok(Threads(runtime))
    }

    /// Blocks this thread until it is done.
    pub fn wait<F: Future>(&self, future: F) -> F::Output {
        self.0.block_on(future)
    }

    /// Goes on beside this thread.
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        self.0.spawn(future)
    }
}
