//! A process with threads must not fork: the child has one of them, and the locks of all.
//!
//! A lock that another thread holds at that moment is locked in the child's copy of the memory,
//! too, and the thread that would release it is not there. The child hangs when it first needs
//! that lock: to print, to allocate memory, to use a thread pool. This is chance, so
//! `Process::spawn` counts the threads and refuses. Python forks, and warns from 3.12 on.
//!
//! The cure: processes first, threads after. A thread may use whatever the processes share.
//!
//! Output: exact, since each waits for the other.

use std::sync::mpsc;
use std::thread;

use anyhow::{Result, bail, ensure};
use common::{Process, Queue, SpawnError};

fn main() -> Result<()> {
    common::end_on_broken_pipe();
    let (until_dropped, wait) = mpsc::channel::<()>();
    let thread = thread::spawn(move || wait.recv());
    match Process::spawn("child", || println!("nobody knows whether this is printed")) {
        Err(error @ SpawnError::Threads(_)) => println!("A thread first: {error}"),
        Err(error) => return Err(error.into()),
        Ok(_) => bail!("a process with two threads was forked"),
    }
    drop(until_dropped);
    drop(thread.join());

    let queue = Queue::new()?;
    let mut child = Process::spawn("child", || -> Result<()> {
        let greeting: String = queue.get()?;
        println!("The process first: {greeting}");
        Ok(())
    })?;
    let greeting = "this comes from a thread of the parent".to_owned();
    thread::scope(|scope| scope.spawn(|| queue.put(&greeting)).join())
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
    ensure!(child.join()?.success(), "the child failed");
    Ok(())
}
