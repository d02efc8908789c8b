//! Four workers, on any hosts, count down a number that the server keeps.

use anyhow::Result;
use clap::Parser;
use cluster::{Cluster, Options, Value};

const WORKERS: usize = 4;
const TASKS: u32 = 4;

/// Subtracts 1 ten times, and returns what it reads after that.
fn task(value: &Value<i64>) -> Result<i64> {
    for _ in 0..10 {
        value.update(|number| number - 1)?; // no lock: whoever is too late does it again
    }
    value.get() // other tasks are counting down meanwhile
}

fn main() -> Result<()> {
    common::end_on_broken_pipe(); // `| head -1` ends this program and its processes quietly

    let cluster = Cluster::join(Options::parse())?;
    let value = cluster.value("number", 10)?;

    // In a worker, which is this program once more, this does tasks and does not return.
    let mut pool = cluster.pool(WORKERS, |_number: u32| task(&value))?;
    for number in 0..TASKS {
        pool.apply_async(&number)?
            .callback(|result| println!("result: {result}"))
            .error_callback(|error| println!("error: {error}"));
    }
    pool.join()?; // waits for all tasks; the callbacks run here, in the parent

    println!("Shared variable value: {}", value.get()?);
    cluster.end()
}
