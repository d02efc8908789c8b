//! DEADLOCK
//! evidence: programs/deadlock.rs:13
//! [[run]]
//! hold = { process = "one", after = "lock" }
//! meanwhile = [{ process = "two", before = "lock" }]

use common::{Process, Value};

fn main() -> anyhow::Result<()> {
    let (a, b) = (Value::new(0)?, Value::new(0)?);
    let mut one = Process::spawn("one", || -> anyhow::Result<()> {
        let _a = a.lock()?;
        let _b = b.lock()?;
        Ok(())
    })?;
    let mut two = Process::spawn("two", || -> anyhow::Result<()> {
        let _b = b.lock()?;
        let _a = a.lock()?;
        Ok(())
    })?;
    one.join()?;
    two.join()?;
    Ok(())
}
