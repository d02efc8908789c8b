//! PASS
//! [[run]]
//! expect = "sum 3"

use std::time::Duration;

use common::{Process, Queue};

fn main() -> anyhow::Result<()> {
    let queue = Queue::new()?;
    let _child = Process::spawn("child", || {
        std::thread::sleep(Duration::from_secs(2));
        queue.put(&3)
    })?;
    println!("sum {}", queue.get()?);
    Ok(())
}
