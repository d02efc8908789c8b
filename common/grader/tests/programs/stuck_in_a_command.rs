//! STUCK
//! evidence: waits for a child of its own to end
//! [[run]]

use std::process::{Command, Stdio};

fn main() -> anyhow::Result<()> {
    // It reads what nobody writes, as its parent keeps the other end open.
    let mut cat = Command::new("cat").stdin(Stdio::piped()).spawn()?;
    let _input = cat.stdin.take();
    cat.wait()?;
    Ok(())
}
