//! Four processes, on any hosts, change shared values, and the parent's callback sees each change.

use std::ops::ControlFlow;

use anyhow::Result;
use clap::Parser;
use cluster::{Cluster, Options, Value};

const PROCESSES: i32 = 4;
const TIMES: i32 = 25;

fn task(value: &Value<i32>, array: &Value<Vec<i32>>) -> Result<()> {
    for _ in 0..TIMES {
        value.update(|value| value + 1)?;
    }
    array.update(|mut array| {
        array[0] += 10;
        array
    })?;
    Ok(())
}

fn main() -> Result<()> {
    common::end_on_broken_pipe(); // `| head -1` ends this program and its processes quietly

    let cluster = Cluster::join(Options::parse())?;
    let value = cluster.value("value", 0)?;
    let array = cluster.value("array", vec![0, 1, 2])?;

    let mut processes = Vec::new();
    for index in 1..=PROCESSES {
        let name = format!("process {index}");
        processes.push(cluster.process(&name, || task(&value, &array))?);
    }

    let mut changes = 0;
    value.watch(&mut processes, |value| {
        changes += 1; // here, in the parent: a message brings each change
        match value {
            value if value == PROCESSES * TIMES => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        }
    })?;
    for process in &mut processes {
        process.join()?;
    }

    println!("Result: {changes} calls");
    println!("Var: {}", value.get()?);
    println!("Array: {:?}", array.get()?);
    cluster.end()
}
