//! A child whose parent has ended is an orphan: it runs on, and another process adopts it.
//!
//! It works on, unseen. Python's children do so, too, when their parent is killed. A `Process` asks
//! the kernel to kill it when its parent ends (`PR_SET_PDEATHSIG`).
//!
//! Output: exact.

use std::io::{BufRead, BufReader, Write, pipe};
use std::process::Command;

use anyhow::{Context, Result};
use common::{Process, Queue};

fn parent_of(pid: u32) -> Result<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?; // 4711 (cat) S 4710 ...
    let parent = stat.split(' ').nth(3);
    Ok(parent.context("no parent")?.parse()?)
}

fn main() -> Result<()> {
    common::end_on_broken_pipe();
    println!("A child of std's Command:");
    let (input, mut to_child) = pipe()?;
    let (from_child, output) = pipe()?;
    let pid = &Queue::new()?;
    let mut parent = Process::spawn("parent", move || -> Result<()> {
        // `cat` writes what it reads, and ends when nobody is left to write to it.
        let mut child = Command::new("cat").stdin(input).stdout(output).spawn()?;
        pid.put(&child.id())?;
        child.wait()?; // meanwhile, this process is killed
        Ok(())
    })?;
    let child = pid.get()?;
    let before = parent_of(child)?;
    parent.kill()?;
    println!("  its parent is killed: {}", parent.join()?);
    println!("  another adopts it: {}", parent_of(child)? != before);
    writeln!(to_child, "yes")?;
    let mut lines = BufReader::new(from_child).lines();
    println!("  it runs: {}", lines.next().context("no answer")??);
    drop(to_child);
    println!("  its input ends, so it ends: {}", lines.next().is_none());

    println!("A Process:");
    let (from_child, mut output) = pipe()?;
    let mut parent = Process::spawn("parent", move || -> Result<()> {
        let mut child = Process::spawn("child", move || -> Result<()> {
            writeln!(output, "yes")?;
            Ok(Queue::new()?.get()?) // nobody can put: it waits for ever
        })?;
        child.join()?; // meanwhile, this process is killed
        Ok(())
    })?;
    let mut lines = BufReader::new(from_child).lines();
    println!("  it runs: {}", lines.next().context("no answer")??);
    parent.kill()?;
    println!("  its parent is killed: {}", parent.join()?);
    println!("  it ends: {}", lines.next().is_none());
    Ok(())
}
