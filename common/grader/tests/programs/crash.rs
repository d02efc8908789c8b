//! CRASH
//! evidence: "child"
//! evidence: the worst has come
//! [[run]]
//! expect = ""

use common::Process;

fn main() -> anyhow::Result<()> {
    let mut child = Process::spawn("child", || -> () { panic!("the worst has come") })?;
    child.join()?;
    Ok(())
}
