//! DEADLOCK
//! [[run]]

use common::{Process, Queue};

fn main() -> anyhow::Result<()> {
    let queue = Queue::with_capacity(100)?;
    let mut child = Process::spawn("child", || (0..1000).try_for_each(|it| queue.put(&it)))?;
    child.join()?;
    println!("{}", queue.iter().count());
    Ok(())
}
