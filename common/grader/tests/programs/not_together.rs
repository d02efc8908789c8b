//! MISSING
//! evidence: one after the other
//! [[run]]
//! hold = { process = "one", before = "lock" }
//! until = { process = "two", before = "lock" }
//! missing = "They work one after the other."

use common::{Process, Value};

fn main() -> anyhow::Result<()> {
    let sum = Value::new(0)?;
    let add = || sum.lock().map(|mut sum| *sum += 1);
    Process::spawn("one", add)?.join()?;
    Process::spawn("two", add)?.join()?;
    Ok(())
}
