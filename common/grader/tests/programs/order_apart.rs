//! PASS
//! [[run]]

use common::{Lock, Process, Queue, Value};

fn main() -> anyhow::Result<()> {
    let (a, b, gate) = (&Value::new(0)?, &Value::new(0)?, &Lock::new()?);
    let there = || -> anyhow::Result<()> {
        let (_a, _b) = (a.lock()?, b.lock()?);
        Ok(())
    };
    let back = || -> anyhow::Result<()> {
        let (_b, _a) = (b.lock()?, a.lock()?);
        Ok(())
    };
    // One after the other.
    Process::spawn("there", there)?.join()?;
    Process::spawn("back", back)?.join()?;
    // Told by a message.
    let done = &Queue::new()?;
    let mut one = Process::spawn("there", || there().and_then(|()| Ok(done.put(&())?)))?;
    let mut two = Process::spawn("back", || done.get().map_err(Into::into).and_then(|()| back()))?;
    one.join()?;
    two.join()?;
    // Under one lock.
    let under = |work: &dyn Fn() -> anyhow::Result<()>| {
        let _gate = gate.lock()?;
        work()
    };
    let mut one = Process::spawn("there", || under(&there))?;
    let mut two = Process::spawn("back", || under(&back))?;
    one.join()?;
    two.join()?;
    Ok(())
}
