//! Runs one measurement in a program of its own: this one, or Python.
//!
//! A fresh program for each keeps them apart: some start threads, after which a process cannot
//! fork, and one that hangs can be ended with all that it has started.

use std::env;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;

/// The first argument of this program when it is to make one measurement.
pub const MEASURE: &str = "--measure";

/// This program, to make one measurement.
///
/// # Errors
/// Its path is not known.
pub fn this() -> Result<Command> {
    let mut command = Command::new(env::current_exe()?);
    command.arg(MEASURE);
    Ok(command)
}

/// The number that a program prints: seconds per operation. It has `limit` seconds.
///
/// # Errors
/// It cannot be started, takes too long, fails or prints something else.
pub fn number(mut command: Command, limit: u32) -> Result<f64> {
    command
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    // In a group of its own it does not see the Ctrl-C that ends this program, so it ends with
    // this program; and an alarm, which nobody here catches, ends it when it takes too long.
    // SAFETY: two system calls between fork and exec.
    unsafe {
        command.pre_exec(move || {
            libc::alarm(limit);
            Ok(set_pdeathsig(Signal::SIGKILL)?)
        });
    }
    let mut group = Group(command.spawn()?);
    let pid = Pid::from_raw(group.0.id().cast_signed());
    waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT)?;
    // Whatever it has left running could keep the pipe open. The pid is not reaped yet.
    killpg(pid, Signal::SIGKILL)?;
    let status = group.0.wait()?;
    ensure!(
        status.success(),
        "it failed or took longer than {limit} s: {status}"
    );
    let mut text = String::new();
    if let Some(mut stdout) = group.0.stdout.take() {
        stdout.read_to_string(&mut text)?;
    }
    let seconds = text.trim().parse();
    seconds.with_context(|| format!("it printed {text:?}"))
}

/// A program and all that it has started, ended when dropped.
struct Group(Child);

impl Drop for Group {
    fn drop(&mut self) {
        if let Ok(None) = self.0.try_wait() {
            let _ = killpg(Pid::from_raw(self.0.id().cast_signed()), Signal::SIGKILL);
            let _ = self.0.wait();
        }
    }
}
