//! PASS
//! [[run]]
//! expect = "sum 3"
//! seeds = 3

use common::{Process, Queue};

fn main() -> anyhow::Result<()> {
    let queue = Queue::new()?;
    let mut child = Process::spawn("child", || queue.put(&3))?;
    println!("a print of the student's");
    println!("sum {}", queue.get()?);
    child.join()?;
    Ok(())
}
