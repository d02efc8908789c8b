//! What a measurement is made on.

use std::fs;
use std::num::NonZeroUsize;
use std::process::Command;
use std::thread::available_parallelism;

use anyhow::Result;

use crate::record::Machine;

/// Python's program.
pub const PYTHON: &str = "python3";

/// This machine, its programs and the commit.
///
/// # Errors
/// The kernel does not tell its version.
pub fn this() -> Result<Machine> {
    let known = |found: Option<String>| found.unwrap_or_else(|| "unknown".to_owned());
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    Ok(Machine {
        cpu: known(processor()),
        cores: available_parallelism().map_or(1, NonZeroUsize::get),
        kernel: kernel.trim().to_owned(),
        rustc: known(output("rustc", &["--version"])),
        python: known(python()),
        commit: known(commit()),
    })
}

/// Python's version, if it is there.
pub fn python() -> Option<String> {
    output(PYTHON, &["--version"])
}

/// `-dirty` when something else differs from it than what measurements wrote.
fn commit() -> Option<String> {
    let commit = output("git", &["describe", "--always", "--abbrev=12"])?;
    let changes = [
        "status",
        "--porcelain",
        "--untracked-files=no",
        "--",
        ":(top)",
        ":(top,exclude)book/src/measured",
    ];
    let clean = output("git", &changes)?.is_empty();
    Some(if clean { commit } else { commit + "-dirty" })
}

fn processor() -> Option<String> {
    let info = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = info.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// What a program prints, when it is there and succeeds.
fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    output.status.success().then_some(text)
}
