//! PASS
//! [[run]]
//! hold = { process = "one", before = "put" }

use common::{Manager, Process, Queue};

/// A manager waits for requests without a limit.
fn main() -> anyhow::Result<()> {
    let _manager = Manager::start()?;
    let queue = Queue::new()?;
    let _one = Process::spawn("one", || queue.put(&1))?;
    queue.get()?;
    Ok(())
}
