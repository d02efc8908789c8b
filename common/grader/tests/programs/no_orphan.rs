//! PASS
//! [[run]]

use std::process::Command;

fn main() -> anyhow::Result<()> {
    Command::new("sleep").arg("0.3").spawn()?;
    Ok(())
}
