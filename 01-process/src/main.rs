//! Two processes, started and joined.

use anyhow::ensure;
use common::Process;

fn worker(number: u32) {
    println!("Worker {number} starting...");
}

fn main() -> anyhow::Result<()> {
    common::end_on_broken_pipe(); // `| head -1` ends this program and its children quietly

    let mut first = Process::spawn("worker 1", || worker(1))?;
    let mut second = Process::spawn("worker 2", || worker(2))?;

    ensure!(first.join()?.success(), "worker 1 failed");
    ensure!(second.join()?.success(), "worker 2 failed");

    println!("All processes finished.");
    Ok(())
}
