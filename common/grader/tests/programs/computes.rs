//! PASS
//! [[run]]
//! hold = { process = "child", before = "put" }

use common::{Process, Queue};

/// It could wait, and has something else to do.
fn main() -> anyhow::Result<()> {
    let queue = Queue::<u32>::new()?;
    let mut child = Process::spawn("child", || queue.put(&3))?;
    let work = (0..60_000_000_u64).fold(1, |it: u64, by| it.wrapping_mul(by | 1));
    std::hint::black_box(work);
    queue.get()?;
    child.join()?;
    Ok(())
}
