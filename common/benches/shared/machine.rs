//! What a measurement was made on.

use std::fs;
use std::num::NonZeroUsize;
use std::process::Command;
use std::thread::available_parallelism;

use anyhow::Result;

use super::quote;

pub const PYTHON: &str = "python3";

/// The names of the fields of [`fields`].
pub const HEAD: &str = "cpu,cores,kernel,rustc,python,commit";

/// The machine, its programs and the commit, as fields of a CSV file.
pub fn fields() -> Result<String> {
    let unknown = || "unknown".to_owned();
    let cores = available_parallelism().map_or(1, NonZeroUsize::get);
    Ok([
        &processor().unwrap_or_else(unknown),
        &cores.to_string(),
        fs::read_to_string("/proc/sys/kernel/osrelease")?.trim(),
        &output("rustc", &["--version"]).unwrap_or_else(unknown),
        &python().unwrap_or_else(unknown),
        &commit().unwrap_or_else(unknown),
    ]
    .map(quote)
    .join(","))
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
