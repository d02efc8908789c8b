//! PASS
//! [[run]]
//! hold = { process = "one", after = "lock" }
//! expect = "sum 2"

use common::{LockProxy, Manager, Process, ValueProxy};

fn add(lock: &LockProxy, sum: &ValueProxy<i32>) -> anyhow::Result<()> {
    let _guard = lock.lock()?;
    sum.set(&(sum.get()? + 1))?;
    Ok(())
}

/// Who waits for the lock asks the manager again and again, and neither of them burns anything.
fn main() -> anyhow::Result<()> {
    let manager = Manager::start()?;
    let (lock, sum) = (manager.lock()?, manager.value(0)?);
    let mut one = Process::spawn("one", || add(&lock, &sum))?;
    let mut two = Process::spawn("two", || add(&lock, &sum))?;
    one.join()?;
    two.join()?;
    println!("sum {}", sum.get()?);
    Ok(())
}
