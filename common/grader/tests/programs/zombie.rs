//! LEAK
//! [[run]]
//! hold = { process = "main", before = "spawn" }
//! no_zombie = true

use std::process::Command;

use common::Process;

fn main() -> anyhow::Result<()> {
    let mut job = Command::new("sleep").arg("1000").spawn()?;
    job.kill()?;
    while !std::fs::read_to_string(format!("/proc/{}/stat", job.id()))?.contains(") Z") {}
    Process::spawn("next", || ())?.join()?;
    Ok(())
}
