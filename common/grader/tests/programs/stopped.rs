//! STUCK
//! evidence: is stopped by a signal
//! [[run]]

use common::Process;

fn main() -> anyhow::Result<()> {
    let stop = "kill -STOP $$; exit";
    let body = move || std::process::Command::new("sh").args(["-c", stop]).status().map(drop);
    Process::spawn("child", body)?.join()?;
    Ok(())
}
