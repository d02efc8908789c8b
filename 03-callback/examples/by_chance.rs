//! A bug that needs an unlikely order of steps, and how to make that likely.
//!
//! It is that of `lost_update`: to lock for a read, and again for the write. But here nobody waits
//! for the worst moment. A process has done its ten additions long before the next one is there, so
//! nearly always all 40 are left, and a test that runs it sees nothing. With `MP_CHAOS=1` (or any
//! other number) in the environment, processes yield and sleep a little wherever they meet, and
//! nearly always some are lost. The cure stands that, too. Python has nothing of the kind.
//!
//! Output: pattern, since what is left is chance.

use anyhow::{Result, ensure};
use common::{Process, Value};

const PROCESSES: u32 = 4;
const ADDITIONS: u32 = 10;

fn add_locked_twice(value: &Value<u32>) -> Result<()> {
    let read = *value.lock()?; // the guard lives to the end of this line
    *value.lock()? = read + 1;
    Ok(())
}

fn add_locked_once(value: &Value<u32>) -> Result<()> {
    *value.lock()? += 1; // the guard lives while this reads, adds and writes
    Ok(())
}

/// Four processes add 1 ten times each. How much is it in the end?
fn sum(add: fn(&Value<u32>) -> Result<()>) -> Result<u32> {
    let value = Value::new(0)?;
    let add_all = || (0..ADDITIONS).try_for_each(|_| add(&value));
    let spawn = |number| Process::spawn(format!("adder {number}"), add_all);
    let adders = (1..=PROCESSES).map(spawn).collect::<Result<Vec<_>, _>>()?;
    for mut adder in adders {
        ensure!(adder.join()?.success(), "failed");
    }
    Ok(*value.lock()?)
}

fn main() -> Result<()> {
    common::end_on_broken_pipe();
    let (some, all) = (sum(add_locked_twice)?, sum(add_locked_once)?);
    println!("Locked to read, and again to write: {some} of 40 additions are left.");
    println!("Locked once, around both: {all} of 40 additions are left.");
    Ok(())
}
