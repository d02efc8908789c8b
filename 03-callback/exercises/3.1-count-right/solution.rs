//! Four gates of a stadium count their visitors in one shared total.
//!
//! `*total.lock()? += 1` reads, adds and writes while one guard lives, which ends with the line. So
//! nobody reads between another one's read and write, and nobody keeps the others waiting for longer
//! than that.

use anyhow::{Result, ensure};
use common::{Process, Value};

// Your part begins here.

/// Counts its visitors, one by one.
fn gate(total: &Value<u32>, visitors: u32) -> Result<()> {
    for _ in 0..visitors {
        *total.lock()? += 1;
    }
    Ok(())
}

/// Opens the four gates, and waits until all visitors are in.
fn open(total: &Value<u32>, visitors: u32) -> Result<()> {
    let mut gates = Vec::new();
    for number in 1..=4 {
        let gate = || gate(total, visitors);
        gates.push(Process::spawn(format!("gate {number}"), gate)?);
    }
    for gate in &mut gates {
        ensure!(gate.join()?.success(), "{} failed", gate.name());
    }
    Ok(())
}

// Your part ends here.

fn main() -> Result<()> {
    common::end_on_broken_pipe();
    let visitors = std::env::args().nth(1).map_or(Ok(50), |it| it.parse())?;
    let total = Value::new(0)?;
    open(&total, visitors)?;
    println!("The stadium has counted {} visitors.", total.lock()?);
    Ok(())
}
