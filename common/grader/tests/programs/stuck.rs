//! STUCK
//! evidence: "child"
//! [[run]]

use common::{Process, Queue};

fn main() -> anyhow::Result<()> {
    let queue = Queue::<u32>::new()?;
    let mut child = Process::spawn("child", || queue.get().map(|_| ()))?;
    child.join()?;
    Ok(())
}
