//! SLOW
//! evidence: put
//! [[run]]
//! seconds = 4

use common::Queue;

fn main() -> anyhow::Result<()> {
    let queue = Queue::new()?;
    loop {
        queue.put(&1)?;
        queue.get()?;
    }
}
