//! PASS
//! [[run]]
//! hold = { process = "child", before = "put" }

use std::time::Duration;

use common::{Process, Queue};

fn main() -> anyhow::Result<()> {
    let queue = Queue::<u32>::new()?;
    let mut child = Process::spawn("child", || queue.put(&3))?;
    while queue.get_timeout(Duration::from_millis(100)).is_err() {
        println!("still nothing");
    }
    child.join()?;
    Ok(())
}
