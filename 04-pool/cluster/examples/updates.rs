//! Two processes add to a shared value two thousand times each, and not one addition is lost or
//! made twice, also when the server is killed meanwhile. Their parent watches.
//!
//! Output: exact.

use std::ops::ControlFlow;

use anyhow::Result;
use clap::Parser;
use cluster::{Cluster, Options, Value};

const TIMES: u32 = 2000;

fn add(value: &Value<u32>) -> Result<()> {
    for time in 1..=TIMES {
        value.update(|value| value + 1)?;
        if time == TIMES / 4 {
            println!("a quarter is done");
        }
    }
    Ok(())
}

fn main() -> Result<()> {
    common::end_on_broken_pipe();
    let cluster = Cluster::join(Options::parse())?;
    let value = cluster.value("value", 0)?;
    let mut processes = [
        cluster.process("first", || add(&value))?,
        cluster.process("second", || add(&value))?,
    ];
    value.watch(&mut processes, |value| match value {
        value if value == 2 * TIMES => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    })?;
    for process in &mut processes {
        process.join()?;
    }
    println!("{} of {}", value.get()?, 2 * TIMES);
    cluster.end()
}
