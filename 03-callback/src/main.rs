//! A child changes shared variables and calls a callback.

use anyhow::{Result, ensure};
use common::{Array, Process, Value};

fn task(value: &Value<i32>, array: &Array<i32>, callback: impl FnOnce(i32)) -> Result<()> {
    let mut value = value.lock()?;
    let mut array = array.lock()?;
    *value += 1;
    array[0] += 10;
    callback(*value + array[0]); // here, in the child: a function argument, no message
    Ok(())
}

fn print_result(result: i32) {
    println!("Result: {result}");
}

fn main() -> Result<()> {
    common::end_on_broken_pipe(); // `| head -1` ends this program and its children quietly

    let value = Value::new(0)?;
    let array = Array::new(&[0, 1, 2])?;

    let mut child = Process::spawn("child", || task(&value, &array, print_result))?;
    ensure!(child.join()?.success(), "the child failed");

    println!("Var: {}", value.lock()?);
    println!("Array: {:?}", array.lock()?);
    Ok(())
}
