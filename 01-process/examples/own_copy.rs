//! A child that adds to a variable adds to its own copy.
//!
//! A fork copies all memory. The child's `total` is another variable with the same name, the same
//! value and the same address; and nobody complains. The compiler does not know that the closure runs
//! in another process. What both are to see lies in shared memory: `Value`.
//!
//! Output: exact.

use anyhow::{Result, ensure};
use common::{Process, Value};

fn main() -> Result<()> {
    common::end_on_broken_pipe();
    let (mut total, shared) = (10, Value::new(10)?);
    let mut child = Process::spawn("child", || -> Result<()> {
        total += 5;
        *shared.lock()? += 5;
        println!("child: {total}, shared: {}", shared.lock()?);
        Ok(())
    })?;
    ensure!(child.join()?.success(), "the child failed");
    println!("parent: {total}, shared: {}", shared.lock()?);
    Ok(())
}
