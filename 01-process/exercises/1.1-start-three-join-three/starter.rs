//! A bakery in the morning: three bakers, each in a process of its own.
//!
//! The shop must not open before all three are ready.

use std::thread::sleep;
use std::time::Duration;

#[allow(unused_imports)]
use anyhow::{Result, ensure};
use common::Process;

/// A baker's whole work.
fn bake(what: &str, milliseconds: u64) {
    sleep(Duration::from_millis(milliseconds));
    println!("The {what} ready.");
}

// Your part begins here.

fn bake_all() -> Result<()> {
    let _bread = Process::spawn("bread", || bake("bread is", 60))?;
    let _rolls = Process::spawn("rolls", || bake("rolls are", 20))?;
    let _cake = Process::spawn("cake", || bake("cake is", 40))?;
    Ok(())
}

// Your part ends here.

fn main() -> Result<()> {
    common::end_on_broken_pipe();
    bake_all()?;
    println!("The shop opens.");
    Ok(())
}
