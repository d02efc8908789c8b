//! A task that returns an error, one that panics, and two that end each worker that has them.
//!
//! Output: pattern, since a worker that is only slow may be taken for dead, which costs a run; the
//! outcomes are sorted.

use std::cell::RefCell;
use std::process;

use anyhow::{Result, ensure};
use clap::Parser;
use cluster::{Cluster, Options};
use nix::sys::signal::{Signal, raise};

/// How many times 12 goes into the number.
fn divide(number: u32) -> Result<u32> {
    ensure!(number != 13, "13 brings bad luck");
    if number == 666 {
        raise(Signal::SIGKILL)?;
    }
    if number == 404 {
        process::exit(0); // as if all were well
    }
    assert!(number != 0, "nobody asks for 0");
    Ok(12 / number)
}

fn main() -> Result<()> {
    common::end_on_broken_pipe();
    let cluster = Cluster::join(Options::parse())?;
    let lines = RefCell::new(Vec::new());

    let mut pool = cluster.pool(2, divide)?;
    for number in [3, 13, 0, 666, 404, 6] {
        pool.apply_async(&number)?
            .callback(|times| lines.borrow_mut().push(format!("12 goes {times} times")))
            .error_callback(|error| lines.borrow_mut().push(error.to_string()));
    }
    pool.join()?;
    let runs = pool.deliveries()?;
    drop(pool);

    let mut lines = lines.into_inner();
    lines.sort();
    lines.iter().for_each(|line| println!("{line}"));
    println!("runs: {runs}");
    cluster.end()
}
