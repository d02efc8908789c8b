//! To lock for a read, and again for the write, loses additions.
//!
//! Between one process's read and its write, another one reads the same number, and both write the
//! same sum. The lock is taken each time, and does not help. In Python this is `value.value += 1`:
//! reading and writing lock, each for itself. The cure is one guard for all three.
//!
//! In real life this is chance. Here the processes wait for each other at the worst moment.
//!
//! Output: exact, for this reason.

use anyhow::{Result, ensure};
use common::{Connection, PipeError, Process, Value, pipe};

const ADDITIONS: u32 = 100;

type Other = Connection<(), ()>;

/// Waits until the other process is here, too.
fn meet(other: &Other) -> Result<(), PipeError> {
    other.send(&())?;
    other.recv()
}

fn add_locked_twice(value: &Value<u32>, other: &Other) -> Result<()> {
    let read = *value.lock()?; // the guard lives to the end of this line
    meet(other)?;
    *value.lock()? = read + 1;
    meet(other)?;
    Ok(())
}

fn add_locked_once(value: &Value<u32>, other: &Other) -> Result<()> {
    meet(other)?;
    *value.lock()? += 1; // the guard lives while this reads, adds and writes
    Ok(())
}

/// Two processes add 1 a hundred times each. How much is it in the end?
fn sum(add: fn(&Value<u32>, &Other) -> Result<()>) -> Result<u32> {
    let value = &Value::new(0)?;
    let (one, two) = pipe()?;
    let add_all = |other| (0..ADDITIONS).try_for_each(|_| add(value, &other));
    let mut one = Process::spawn("one", move || add_all(one))?;
    let mut two = Process::spawn("two", move || add_all(two))?;
    ensure!(one.join()?.success() && two.join()?.success(), "failed");
    Ok(*value.lock()?)
}

fn main() -> Result<()> {
    common::end_on_broken_pipe();
    let (lost, all) = (sum(add_locked_twice)?, sum(add_locked_once)?);
    println!("Locked to read, and again to write: {lost} of 200 additions are left.");
    println!("Locked once, around both: {all} of 200 additions are left.");
    Ok(())
}
