//! PASS
//! [[run]]
//! hold = { process = "one", before = "lock" }
//! until = { process = "two", before = "lock" }

use common::{Process, Value};

fn main() -> anyhow::Result<()> {
    let sum = Value::new(0)?;
    let add = || sum.lock().map(|mut sum| *sum += 1);
    let mut one = Process::spawn("one", add)?;
    let mut two = Process::spawn("two", add)?;
    one.join()?;
    two.join()?;
    Ok(())
}
