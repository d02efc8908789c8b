//! The only producer crashes, and its consumer waits for an item that nobody can put.
//!
//! An empty queue cannot tell: somebody may still put. But here every process that is left waits,
//! so nobody will. The call is an error then, within seconds, and its text is what one would look
//! for in a debugger. In Python `get` waits for ever; in Go, this is "all goroutines are asleep".
//!
//! Output: pattern, the pids are masked.

use anyhow::{Result, bail};
use common::{GetError, Process, Queue};

fn main() -> Result<()> {
    common::end_on_broken_pipe();
    let queue = Queue::<u32>::new()?;
    let mut producer = Process::spawn("producer", || -> Result<()> {
        queue.put(&1)?;
        std::process::abort() // a crash
    })?;

    println!("Got item {}.", queue.get()?);
    match queue.get() {
        Err(error @ GetError::Deadlock(_)) => println!("{error}"),
        other => bail!("nobody could put {other:?}"),
    }
    // This process can go on: the error has ended its wait.
    println!("Joined: {}", producer.join()?);
    Ok(())
}
