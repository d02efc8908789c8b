//! ORPHAN
//! evidence: sleep
//! [[run]]

use std::process::Command;

fn main() -> anyhow::Result<()> {
    Command::new("setsid").args(["sleep", "1000"]).spawn()?;
    Ok(())
}
