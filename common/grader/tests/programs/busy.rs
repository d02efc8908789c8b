//! BUSY
//! evidence: "main"
//! [[run]]
//! hold = { process = "child", before = "put" }

use common::{Process, Queue};

fn main() -> anyhow::Result<()> {
    let queue = Queue::<u32>::new()?;
    let _child = Process::spawn("child", || queue.put(&3))?;
    while queue.try_get().is_err() {}
    Ok(())
}
