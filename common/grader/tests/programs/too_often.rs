//! WRONG
//! evidence: One message is enough.
//! [[run]]
//! at_most = [{ what = "put", times = 1, why = "One message is enough." }]

use common::Queue;

fn main() -> anyhow::Result<()> {
    let queue = Queue::new()?;
    queue.put(&1)?;
    queue.put(&2)?;
    Ok(())
}
