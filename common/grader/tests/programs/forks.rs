//! CRASH
//! evidence: more than 200 processes
//! [[run]]

use common::{Process, Queue};

/// Never more than 511, should nobody stop it.
fn fork(depth: u32, nothing: &Queue<u32>) {
    let children: Vec<_> = (0..2 * u32::from(depth > 0))
        .map(|_| Process::spawn("child", || fork(depth - 1, nothing)))
        .collect();
    drop(nothing.get_timeout(std::time::Duration::from_secs(60)));
    drop(children);
}

fn main() -> anyhow::Result<()> {
    fork(8, &Queue::new()?);
    Ok(())
}
