//! PASS
//! [[uses]]
//! what = "process"
//! at_least = 2
//! missing = "There are not two."
//! [[run]]
//! expect = "sum 20"
//! seeds = 3

use common::{Process, Queue};

/// Nothing is locked here, as nothing is shared but the queue.
fn main() -> anyhow::Result<()> {
    let tallies = Queue::new()?;
    let mut counters = Vec::new();
    for name in ["one", "two"] {
        counters.push(Process::spawn(name, || tallies.put(&10))?);
    }
    for counter in &mut counters {
        counter.join()?;
    }
    tallies.close();
    println!("sum {}", tallies.iter().sum::<Result<u32, _>>()?);
    Ok(())
}
