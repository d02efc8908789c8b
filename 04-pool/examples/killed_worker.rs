//! A worker is killed in the middle of a task, as the system does when memory runs out.
//!
//! That task's error says so, the other tasks get their results, and a new worker takes the place
//! of the dead one. In Python a new worker comes, too, but nobody learns of the lost task: its
//! `get` waits for ever.
//!
//! Output: pattern, the pid is masked.

use std::time::Duration;

use anyhow::Result;
use common::{Pool, Queue};
use nix::sys::signal::{Signal, raise};

fn task(number: usize, tokens: &[Queue<()>; 2]) -> Result<usize> {
    match number {
        3 => raise(Signal::SIGKILL)?,
        7 | 8 => {
            // Each waits for the other: this takes two workers.
            tokens[number % 2].put(&())?;
            tokens[(number + 1) % 2].get_timeout(Duration::from_secs(10))?;
        }
        _ => {}
    }
    Ok(number * number)
}

fn main() -> Result<()> {
    common::end_on_broken_pipe();
    let tokens = [Queue::new()?, Queue::new()?];
    let pool = Pool::new(2, |number| task(number, &tokens))?;

    let submitted: Vec<_> = (1..=8).map(|number| pool.apply_async(&number)).collect();
    for (number, result) in (1..).zip(submitted) {
        match result.get() {
            Ok(square) => println!("task {number}: {square}"),
            Err(error) => println!("task {number}: {error}"),
        }
    }
    println!("Tasks 7 and 8 need two workers, since each waits for the other.");
    pool.join()?;
    Ok(())
}
