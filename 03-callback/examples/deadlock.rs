//! Two processes take two locks in opposite order, without a limit: a deadlock that is told.
//!
//! Each holds the lock that the other one waits for, so neither can go on. A lock knows its owner,
//! and so the circle is found, within seconds. One of the two gets an error, the one nearest the
//! first process. It lets go of what it holds, and the other one goes on. In Python both wait for
//! ever. The cure is one order for all: see `lock_order`.
//!
//! Output: pattern, the pids are masked.

use anyhow::{Result, bail, ensure};
use common::{Connection, LockError, PipeError, Process, Value, pipe};

/// Waits until the other process is here, too.
fn meet(other: &Connection<(), ()>) -> Result<(), PipeError> {
    other.send(&())?;
    other.recv()
}

fn main() -> Result<()> {
    common::end_on_broken_pipe();
    let left = &Value::new(100)?;
    let right = &Value::new(100)?;
    let (ours, theirs) = pipe()?;
    let mut to_right = Process::spawn("to the right", move || -> Result<()> {
        let mut to = right.lock()?;
        meet(&theirs)?; // in real life, this is chance
        let mut from = left.lock()?;
        (*to, *from) = (*to + 10, *from - 10);
        Ok(())
    })?;

    let to = left.lock()?;
    meet(&ours)?;
    match right.lock() {
        Err(error @ LockError::Deadlock(_)) => println!("{error}"),
        other => bail!("both have the right account: {other:?}"),
    }
    drop(to); // so the other one goes on
    ensure!(to_right.join()?.success(), "the transfer failed");
    println!("left: {}, right: {}", left.lock()?, right.lock()?);
    Ok(())
}
