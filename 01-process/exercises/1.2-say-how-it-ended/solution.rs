//! A status has a code or a signal, never both, so one `match` on the two tells the three cases.
//!
//! A success is the exit code 0 and nothing else: a process that was killed has no code, and is no
//! success either. For a child that was joined there is no fourth case; yet a status can also tell
//! that a process was stopped, and for that its own text is good enough.

use std::env::args;
#[allow(unused_imports)]
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, abort, exit};

use anyhow::{Result, anyhow};
use common::Process;

// Your part begins here.

fn how(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(0), _) => "ended well".to_string(),
        (Some(code), _) => format!("failed with exit code {code}"),
        (None, Some(signal)) => format!("killed by signal {signal}"),
        (None, None) => status.to_string(),
    }
}

// Your part ends here.

fn main() -> Result<()> {
    common::end_on_broken_pipe();
    let code = args().nth(1).map_or(Ok(7), |code| code.parse())?;
    let machines = [
        Process::spawn("wash", || ())?,
        Process::spawn("spin", || Err::<(), _>(anyhow!("no water")))?,
        Process::spawn("dry", || -> () { panic!("too hot") })?,
        Process::spawn("iron", || -> () { exit(code) })?,
        Process::spawn("fold", || -> () { abort() })?,
    ];
    for mut machine in machines {
        let status = machine.join()?;
        println!("{}: {}", machine.name(), how(status));
    }
    Ok(())
}
