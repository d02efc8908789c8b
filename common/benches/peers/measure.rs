//! Runs one measurement in a program of its own: this one, or Python.
//!
//! A fresh program for each keeps them apart: some start threads, after which a process cannot
//! fork, and one that hangs can be ended with all that it has started.

use std::env;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;

use crate::rows::Row;
use crate::work::{Timed, per_operation};
use crate::{crates, limit, ours};

/// The first argument of this program when it is to measure one row of one column.
pub const MEASURE: &str = "--measure";

/// What a column does for a row, if anything.
type Column = fn(&str) -> Option<Timed>;

/// The columns that this program measures itself; the second is Python's.
const COLUMNS: [Option<Column>; 4] = [
    Some(ours::timed),
    None,
    Some(crates::timed),
    Some(limit::timed),
];

/// Seconds per operation; `None` where there is nothing to measure.
pub fn measure(row: &Row, column: usize, python: Option<&str>, quick: bool) -> Result<Option<f64>> {
    let (budget, patience) = if quick { (0.001, 10) } else { (0.2, 120) };
    let (least, most) = row.counts(quick);
    let mut command = match (COLUMNS[column], python) {
        (Some(timed), _) if timed(row.name).is_none() => return Ok(None),
        (Some(_), _) => {
            let mut command = Command::new(env::current_exe()?);
            command.args([MEASURE, &column.to_string()]);
            command
        }
        (None, None) => return Ok(None),
        (None, Some(python)) => {
            let mut command = Command::new(python);
            command.arg(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/benches/peers/peers.py"
            ));
            command
        }
    };
    command.args([
        row.name,
        &least.to_string(),
        &most.to_string(),
        &budget.to_string(),
    ]);
    let answer = answer(command, patience)
        .with_context(|| format!("measuring {:?} in column {}", row.name, column + 1))?;
    let seconds = answer.trim().parse();
    Ok(Some(
        seconds.with_context(|| format!("it printed {answer:?}"))?,
    ))
}

/// The other side: prints the seconds per operation.
pub fn answer_one(arguments: &[String]) -> Result<()> {
    let [column, row, least, most, budget] = arguments else {
        bail!("{MEASURE} is for this program's own use");
    };
    let timed = COLUMNS.get(column.parse::<usize>()?).copied().flatten();
    let timed = timed
        .and_then(|timed| timed(row))
        .context("nothing to measure")?;
    let budget = Duration::from_secs_f64(budget.parse()?);
    let seconds = per_operation(timed, least.parse()?, most.parse()?, budget)?;
    println!("{seconds}");
    Ok(())
}

fn answer(mut command: Command, limit: u32) -> Result<String> {
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
    Ok(text)
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
