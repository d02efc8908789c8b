//! An error that nobody asks for is not heard.
//!
//! `apply_async` returns at once, so it cannot say what will become of the task. `get`, `callback` and
//! `error_callback` are where one hears of it. Who throws the `AsyncResult` away has only `join`, which
//! says how many errors nobody asked for, and the first of them; and who drops the pool has nothing.
//! Python's `join` says nothing either.
//!
//! Output: exact.

use anyhow::{Context, Result};
use common::{Pool, TaskError};

fn pool() -> Result<Pool<'static, u32, u32>> {
    let divide = |number: u32| 12_u32.checked_div(number).context("divided by zero");
    Ok(Pool::new(2, divide)?)
}

/// Without the `let`, the compiler warns that an error would not be seen.
fn hand_in(pool: &Pool<'_, u32, u32>) {
    for number in [3, 0, 4, 0] {
        let _unheard = pool.apply_async(&number);
    }
}

fn main() -> Result<()> {
    common::end_on_broken_pipe();
    let dropped = pool()?;
    hand_in(&dropped);
    drop(dropped);
    println!("Dropped: not a word.");

    let joined = pool()?;
    hand_in(&joined);
    match joined.join() {
        Ok(()) => println!("Joined: not a word."),
        Err(error) => println!("Joined: {error}."),
    }

    let asked = pool()?;
    let results = [3, 0, 4, 0].map(|number| asked.apply_async(&number));
    for (number, result) in [3, 0, 4, 0].into_iter().zip(results) {
        match result.get() {
            Ok(times) => println!("Asked: 12 / {number} = {times}"),
            Err(TaskError::Failed(message)) => println!("Asked: 12 / {number}: {message}"),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
