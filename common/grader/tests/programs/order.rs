//! ORDER
//! evidence: programs/order.rs:8
//! [[run]]

use common::{Process, Queue, Value};

fn main() -> anyhow::Result<()> {
    let a = Value::new(0)?;
    let b = Value::new(0)?;
    let go = Queue::<u32>::new()?;
    let mut one = Process::spawn("one", || -> anyhow::Result<()> {
        let _a = a.lock()?;
        let _b = b.lock()?;
        Ok(())
    })?;
    // That the first has ended is no message to the second.
    let mut two = Process::spawn("two", || -> anyhow::Result<()> {
        go.get_timeout(std::time::Duration::from_millis(500)).ok();
        let _b = b.lock()?;
        let _a = a.lock()?;
        Ok(())
    })?;
    one.join()?;
    two.join()?;
    Ok(())
}
