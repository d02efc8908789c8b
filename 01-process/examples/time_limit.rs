//! A child gets a limit: who is not ready by then is killed.
//!
//! `join_timeout` sleeps until the child has ended, or the time is over. So a child that is quick
//! costs no waiting, and no processor time is burnt by asking `is_alive` again and again. A killed
//! child is joined, too, or else it stays a zombie until its `Process` is dropped.
//!
//! Output: exact.

use std::process::ExitStatus;
use std::thread::sleep;
use std::time::Duration;

use anyhow::Result;
use common::{Process, ProcessError};

fn join_or_kill(child: &mut Process, limit: Duration) -> Result<ExitStatus, ProcessError> {
    if let Some(status) = child.join_timeout(limit)? {
        return Ok(status);
    }
    println!("The time is over. Alive: {}", child.is_alive()?);
    child.kill()?;
    child.join()
}

fn main() -> Result<()> {
    common::end_on_broken_pipe();
    let hour = Duration::from_secs(3600);
    let mut quick = Process::spawn("quick", || ())?;
    println!("quick: {}", join_or_kill(&mut quick, hour)?);

    let mut slow = Process::spawn("slow", || sleep(hour))?;
    println!(
        "slow: {}",
        join_or_kill(&mut slow, Duration::from_millis(100))?
    );
    println!("Alive: {}", slow.is_alive()?);
    Ok(())
}
