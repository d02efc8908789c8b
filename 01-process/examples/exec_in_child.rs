//! A child may become another program, which still ends with its parent.
//!
//! `exec` puts a new program in the place of the child's own. The process stays what it is: the same
//! pid, the same parent, and the request to be killed when that one ends. A program that is started
//! with `Command::spawn` or `status` has made no such request: `orphan` shows what comes of that.
//!
//! Output: exact.

use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::Command;

use anyhow::Result;
use common::Process;

/// Comes back only with an error.
fn become_shell(script: &str) -> io::Result<()> {
    Err(Command::new("sh").args(["-c", script]).exec())
}

fn main() -> Result<()> {
    common::end_on_broken_pipe();
    let mut child = Process::spawn("child", || become_shell("exit 3"))?;
    println!("The shell has ended: {:?}", child.join()?.code());

    // The shell has the child's pid, so what is sent to the child is sent to the shell.
    let mut child = Process::spawn("child", || become_shell("while :; do sleep 1; done"))?;
    child.kill()?;
    println!("The shell was killed: {:?}", child.join()?.signal());
    Ok(())
}
