//! A laundry at night: five machines, and each ends in a way of its own.
//!
//! In the morning somebody reads what became of each.

use std::env::args;
#[allow(unused_imports)]
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, abort, exit};

use anyhow::{Result, anyhow};
use common::Process;

// Your part begins here.

fn how(_status: ExitStatus) -> String {
    "ended well".to_string()
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
