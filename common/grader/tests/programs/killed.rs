//! PASS
//! [[run]]
//! expect = "ended: signal: 9 (SIGKILL)"
//! kill = { process = "child", after = "put" }

use common::{Process, Queue};

fn main() -> anyhow::Result<()> {
    let queue = Queue::<u32>::new()?;
    let mut child = Process::spawn("child", || queue.put(&3))?;
    println!("ended: {}", child.join()?);
    Ok(())
}
