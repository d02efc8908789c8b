//! One task fails: its error callback runs, and the others finish.
//!
//! Each task also divides by the value that it has just set. The value passes 0 once, so exactly
//! one task fails, whichever brings it there, and stops after 1 to 10 subtractions. Its guard
//! gives the lock back on the way out.
//!
//! Output: any order, but for the last lines; values masked. Which task fails, and how many
//! subtractions it leaves undone, is not fixed; that they add up is.

use anyhow::{Context, Result};
use common::{Array, AsyncResult, LockProxy, Manager, Pool, ValueProxy};

const START: i64 = 10;
const TASKS: usize = 4;

/// Subtracts 1 ten times, and counts how often it did.
fn task(
    lock: &LockProxy,
    value: &ValueProxy<i64>,
    counts: &Array<i64>,
    number: usize,
) -> Result<i64> {
    for _ in 0..10 {
        let _guard = lock.lock()?;
        let new = value.get()? - 1;
        value.set(&new)?;
        counts.lock()?[number] += 1;
        1000_i64.checked_div(new).context("divided by zero")?;
    }
    Ok(value.get()?)
}

fn main() -> Result<()> {
    common::end_on_broken_pipe();
    let manager = Manager::start()?;
    let lock = manager.lock()?;
    let value = manager.value(START)?;
    let counts = Array::new(&[0; TASKS])?;

    let pool = Pool::new(4, |number| task(&lock, &value, &counts, number))?;
    let mut submitted = Vec::new();
    for number in 0..TASKS {
        let result = pool.apply_async(&number);
        let result = result.callback(|result| println!("result: {result}"));
        submitted.push(result.error_callback(|error| println!("error: {error}")));
    }
    let outcomes: Vec<_> = submitted.into_iter().map(AsyncResult::get).collect();
    pool.join()?;

    let errors = outcomes.iter().filter(|outcome| outcome.is_err()).count();
    println!("Errors: {errors}, results: {}", outcomes.len() - errors);
    drop(lock.lock()?);
    println!("The lock is free.");
    let subtracted: i64 = counts.lock()?.iter().sum();
    println!(
        "Shared variable value: {} = {START} - {subtracted}",
        value.get()?
    );
    Ok(())
}
