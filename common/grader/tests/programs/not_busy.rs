//! PASS
//! [[run]]
//! hold = { process = "child", before = "put" }

use common::{Process, Queue};

fn main() -> anyhow::Result<()> {
    let queue = Queue::<u32>::new()?;
    let mut child = Process::spawn("child", || queue.put(&3))?;
    queue.get()?;
    child.join()?;
    Ok(())
}
