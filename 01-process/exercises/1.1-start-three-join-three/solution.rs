//! All three are started before the first is joined: so they run at the same time.
//!
//! In which order they are joined does not matter. The shop needs all of them, so it waits for the
//! slowest in any case; who has ended meanwhile is joined at once. If the second cannot be started,
//! the `?` drops the first, which kills it: nobody bakes for a shop that stays closed.

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
    let mut bread = Process::spawn("bread", || bake("bread is", 60))?;
    let mut rolls = Process::spawn("rolls", || bake("rolls are", 20))?;
    let mut cake = Process::spawn("cake", || bake("cake is", 40))?;

    ensure!(bread.join()?.success(), "no bread");
    ensure!(rolls.join()?.success(), "no rolls");
    ensure!(cake.join()?.success(), "no cake");
    Ok(())
}

// Your part ends here.

fn main() -> Result<()> {
    common::end_on_broken_pipe();
    bake_all()?;
    println!("The shop opens.");
    Ok(())
}
