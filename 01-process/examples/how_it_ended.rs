//! A status tells how a process ended: by itself, with an exit code, or by a signal.
//!
//! There is the one or the other: `code()` is `None` after a signal, `signal()` is `None` else. So
//! ask `success()` whether all went well, and `code()` only where you care for the number. Python
//! has one number for both, `exitcode`, and a signal is a negative one.
//!
//! Two of the children have something to complain about, on standard error.
//!
//! Output: exact.

use std::os::unix::process::ExitStatusExt;
use std::process::{abort, exit};

use anyhow::{Result, anyhow};
use common::Process;

fn main() -> Result<()> {
    common::end_on_broken_pipe();
    let children = [
        Process::spawn("returns", || ())?,
        Process::spawn("fails", || Err::<(), _>(anyhow!("no such file")))?,
        Process::spawn("panics", || -> () { panic!("this cannot be") })?,
        Process::spawn("exits", || -> () { exit(7) })?,
        Process::spawn("aborts", || -> () { abort() })?,
    ];
    println!("          success  code       signal");
    for mut child in children {
        let status = child.join()?;
        let (code, signal) = (status.code(), status.signal());
        let (code, signal) = (format!("{code:?}"), format!("{signal:?}"));
        println!(
            "{:8}  {:7}  {code:9}  {signal}",
            child.name(),
            status.success()
        );
    }
    Ok(())
}
