//! A child that has ended, and that nobody has waited for, is a zombie.
//!
//! Its memory and its files are gone. What is left is its number and its exit code, kept until its
//! parent asks. `std::process::Child` never asks by itself, so a program that starts many children
//! runs out of numbers. A `Process` is waited for by `join`, or else when it is dropped.
//!
//! Output: exact.

use std::fs;
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};
use common::{Process, Queue};

/// What the kernel says of a process: `R` runs, `S` sleeps, `Z` is a zombie.
fn state(pid: u32) -> &'static str {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // `4711 (name) S 1 ...`, and a name may have brackets, too.
    match stat
        .rsplit(") ")
        .next()
        .and_then(|rest| rest.chars().next())
    {
        None => "no such process",
        Some('Z') => "Z (zombie)",
        Some(_) => "alive",
    }
}

fn main() -> Result<()> {
    common::end_on_broken_pipe();
    let mut child = Command::new("true").spawn()?; // a program that ends at once
    while state(child.id()) == "alive" {
        thread::sleep(Duration::from_millis(1));
    }
    println!("std's Child, ended: {}", state(child.id()));
    let status = child.wait()?;
    println!("std's Child, after wait: {status}, {}", state(child.id()));

    let mut process = Process::spawn("short", || ())?;
    let status = process.join()?;
    println!("Process, after join: {status}, {}", state(process.pid()));

    let nothing = Queue::<()>::new()?;
    let process = Process::spawn("long", || nothing.get())?; // for ever: nobody puts
    let pid = process.pid();
    ensure!(state(pid) == "alive", "it ended early");
    drop(process);
    println!("Process, dropped while it runs: {}", state(pid));
    Ok(())
}
