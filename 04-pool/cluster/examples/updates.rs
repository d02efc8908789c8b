//! Two processes add to a shared value two thousand times each, and not one addition is lost or
//! made twice, also when the server is killed meanwhile. Their parent watches.
//!
//! There is a bound: one to which no answer came is sent again, and a server that was killed before
//! that knows only the last 64. An earlier one it makes twice.
//!
//! Output: exact.

use std::ops::ControlFlow;

use anyhow::Result;
use clap::Parser;
use cluster::{Cluster, Options, Value};

#[derive(Parser)]
struct Arguments {
    /// How often each process adds 1
    #[arg(long, default_value_t = 2000)]
    times: u32,
    #[command(flatten)]
    options: Options,
}

fn add(value: &Value<u32>, times: u32) -> Result<()> {
    for time in 1..=times {
        value.update(|value| value + 1)?;
        if time == times / 4 {
            println!("a quarter is done");
        }
    }
    Ok(())
}

fn main() -> Result<()> {
    common::end_on_broken_pipe();
    let Arguments { times, options } = Arguments::parse();
    let cluster = Cluster::join(options)?;
    let value = cluster.value("value", 0)?;
    let mut processes = [
        cluster.process("first", || add(&value, times))?,
        cluster.process("second", || add(&value, times))?,
    ];
    value.watch(&mut processes, |value| match value {
        value if value == 2 * times => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    })?;
    for process in &mut processes {
        process.join()?;
    }
    println!("{} of {}", value.get()?, 2 * times);
    cluster.end()
}
