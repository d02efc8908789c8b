//! PASS
//! [[run]]
//! deaths = ["child"]

use common::Process;

fn main() -> anyhow::Result<()> {
    let mut child = Process::spawn("child", || -> () { std::process::abort() })?;
    child.join()?;
    Ok(())
}
