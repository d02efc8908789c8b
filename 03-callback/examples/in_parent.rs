//! The callback runs in the parent: the child sends its result back, and the parent calls.
//!
//! In the chapter's program the callback is a function argument, so it runs where the task runs,
//! and whatever it changes besides shared memory is lost with the child. Here it can use all that
//! the parent has: a pool's callbacks work in this way.
//!
//! Output: exact, since the parent waits for the child's message.

use std::process::id;

use anyhow::{Result, ensure};
use common::{Array, Connection, Process, Value, pipe};

fn task(value: &Value<i32>, array: &Array<i32>, result: &Connection<i32, ()>) -> Result<()> {
    let mut value = value.lock()?;
    let mut array = array.lock()?;
    *value += 1;
    array[0] += 10;
    result.send(&(*value + array[0]))?;
    Ok(())
}

fn main() -> Result<()> {
    common::end_on_broken_pipe();
    let parent = id();
    let callback = |result: i32| {
        println!("Result: {result}");
        println!("In the parent: {}", id() == parent);
    };

    let value = Value::new(0)?;
    let array = Array::new(&[0, 1, 2])?;
    let (ours, theirs) = pipe()?;

    let (for_value, for_array) = (&value, &array);
    let mut child = Process::spawn("child", move || task(for_value, for_array, &theirs))?;
    callback(ours.recv()?); // an error, not a wait without end, if the child dies before
    ensure!(child.join()?.success(), "the child failed");

    println!("Var: {}", value.lock()?);
    println!("Array: {:?}", array.lock()?);
    Ok(())
}
