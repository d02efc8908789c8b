//! STUCK
//! evidence: again and again
//! [[run]]

use std::time::Duration;

use common::Queue;

fn main() -> anyhow::Result<()> {
    let queue = Queue::<u32>::new()?;
    while queue.get_timeout(Duration::from_millis(50)).is_err() {}
    Ok(())
}
