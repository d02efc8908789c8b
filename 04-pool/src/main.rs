//! Four workers count down a number that a manager process owns, under its lock.

use anyhow::Result;
use common::{LockProxy, Manager, Pool, ValueProxy};

const WORKERS: usize = 4;
const TASKS: u32 = 4;

/// Subtracts 1 ten times, and returns what it reads after that.
fn task(lock: &LockProxy, value: &ValueProxy<i64>) -> Result<i64> {
    for _ in 0..10 {
        let _guard = lock.lock()?; // between a get and a set another task could set
        value.set(&(value.get()? - 1))?;
    }
    Ok(value.get()?) // without the lock: other tasks are counting down meanwhile
}

fn main() -> Result<()> {
    common::end_on_broken_pipe(); // `| head -1` ends this program and its children quietly

    let manager = Manager::start()?; // a process of its own, which owns both of these:
    let lock = manager.lock()?;
    let value = manager.value(10)?;

    let pool = Pool::new(WORKERS, |_number: u32| task(&lock, &value))?;
    for number in 0..TASKS {
        pool.apply_async(&number)
            .callback(|result| println!("result: {result}"))
            .error_callback(|error| println!("error: {error}"));
    }
    pool.join()?; // waits for all tasks; the callbacks run here, in the parent

    println!("Shared variable value: {}", value.get()?);
    Ok(())
}
