//! A child may become another program, which still ends with its parent.
//!
//! `exec` puts a new program in the place of the child's own. The process stays what it is: the same
//! pid, the same parent, and the request to be killed when that one ends. A program that is started
//! with `Command::spawn` or `status` has made no such request: `orphan` shows what comes of that.
//!
//! Output: exact.

use std::io::{self, BufRead, BufReader};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, Stdio};

use anyhow::Result;
use common::Process;

/// Comes back only with an error.
fn become_shell(script: &str, output: impl Into<Stdio>) -> io::Result<()> {
    Err(Command::new("sh")
        .args(["-c", script])
        .stdout(output)
        .exec())
}

fn main() -> Result<()> {
    common::end_on_broken_pipe();
    let mut child = Process::spawn("child", || become_shell("exit 3", Stdio::inherit()))?;
    println!("The shell has ended: {:?}", child.join()?.code());

    // This one says its pid. Then it becomes `sleep` in its turn: a program that it had started
    // in place of that would not be killed with it.
    let (reader, writer) = io::pipe()?;
    let script = "echo $$; exec sleep 3600";
    let mut child = Process::spawn("child", move || become_shell(script, writer))?;
    let mut pid = String::new();
    BufReader::new(reader).read_line(&mut pid)?;
    let is_child = pid.trim() == child.pid().to_string();
    println!("The shell has the child's pid: {is_child}");
    child.kill()?;
    println!("It was killed: {:?}", child.join()?.signal());
    Ok(())
}
