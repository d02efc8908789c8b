//! The chapter's work on threads: four of rayon's, and a `Mutex` that owns the number.
//!
//! This is what to use in Rust when isolation is not the point. All threads see the same memory,
//! so there is no server, no proxy and no message; the compiler sees to it that the number is
//! reached through its lock alone. What is lost: a task that crashes ends the whole program.
//!
//! Output: any order, values masked, the last line exact.

use std::sync::{Mutex, PoisonError};

use anyhow::Result;
use rayon::ThreadPoolBuilder;

const WORKERS: usize = 4;
const TASKS: usize = 4;

/// Subtracts 1 ten times, and returns what it reads after that.
fn task(value: &Mutex<i64>) -> i64 {
    // A lock is poisoned when its holder panics, which a subtraction does not.
    let lock = || value.lock().unwrap_or_else(PoisonError::into_inner);
    for _ in 0..10 {
        *lock() -= 1;
    }
    *lock()
}

fn main() -> Result<()> {
    common::end_on_broken_pipe();
    let value = Mutex::new(10);
    let pool = ThreadPoolBuilder::new().num_threads(WORKERS).build()?;

    pool.scope(|scope| {
        for _ in 0..TASKS {
            scope.spawn(|_| println!("result: {}", task(&value)));
        }
    }); // waits for all tasks

    println!("Shared variable value: {}", value.into_inner()?);
    Ok(())
}
