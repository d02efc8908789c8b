//! Three ways to hand in many tasks, and what each makes of one that fails.
//!
//! `map` is all or nothing: the results in order, or the first error. `imap_unordered` gives each
//! outcome as it comes, so one that fails costs only itself; as they come in any order, each is to say
//! which it is. `apply_async` hands in one, and its `get` is that one's outcome. The error says what
//! has happened to the task: it has failed, panicked, or lost its worker.
//!
//! Output: exact, since the outcomes are sorted.

use anyhow::{Result, ensure};
use common::{Pool, TaskError};

/// How many times 12 goes into the number, and into which.
fn divide(number: &u32) -> Result<(u32, u32)> {
    ensure!(*number != 13, "13 brings bad luck");
    assert_ne!(*number, 0, "nobody asks for 0");
    Ok((*number, 12 / number))
}

fn name(error: &TaskError) -> String {
    match error {
        TaskError::Failed(message) => format!("failed: {message}"),
        TaskError::Panicked { .. } => "panicked".to_owned(),
        TaskError::WorkerDied { status, .. } => format!("its worker died: {status}"),
        other => other.to_string(),
    }
}

fn main() -> Result<()> {
    common::end_on_broken_pipe();
    std::panic::set_hook(Box::new(|_| ())); // no message of a panic: its error is printed below
    let pool = Pool::new(2, |number: u32| divide(&number))?;
    println!("map: {:?}", pool.map([3, 4, 6])?);
    match pool.map([3, 13, 6]) {
        Ok(all) => println!("map: {all:?}"),
        Err(error) => println!("map: {}", name(&error)),
    }

    let outcomes = pool.imap_unordered([3, 13, 6]);
    let mut lines: Vec<String> = outcomes
        .map(|outcome| match outcome {
            Ok((number, times)) => format!("12 / {number} = {times}"),
            Err(error) => name(&error),
        })
        .collect();
    lines.sort();
    lines
        .iter()
        .for_each(|line| println!("imap_unordered: {line}"));

    match pool.apply_async(&0).get() {
        Ok((number, times)) => println!("get: 12 / {number} = {times}"),
        Err(error) => println!("get: {}", name(&error)),
    }
    Ok(())
}
