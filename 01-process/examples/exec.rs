//! A fresh program instead of a forked child: what each has from its parent.
//!
//! The fresh program is this one again, started by `std::process::Command`. That works whether
//! threads run or not, and what it needs to know is told to it: by arguments, here.
//!
//! Output: exact.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::mpsc;
use std::{env, fs, io, thread};

use std::fs::File;
use std::os::fd::AsRawFd;

use anyhow::{Result, bail, ensure};
use common::{Process, Value};

static VARIABLE: AtomicU32 = AtomicU32::new(0);

/// Says what this process has of its parent's.
fn report(directory: &Path, file: &Path) -> Result<()> {
    let shared_memory = fs::read_to_string("/proc/self/maps")?.contains(" rw-s ");
    println!("  working directory: {}", env::current_dir()? == directory);
    println!("  variables:         {}", VARIABLE.load(Relaxed) == 1);
    println!("  shared memory:     {shared_memory}");
    println!("  open files:        {}", file.try_exists()?);
    Ok(())
}

fn main() -> Result<()> {
    if let [_, directory, file] = &env::args().map(PathBuf::from).collect::<Vec<_>>()[..] {
        return report(directory, file);
    }

    VARIABLE.store(1, Relaxed);
    let directory = env::current_dir()?;
    let _shared_memory = Value::new(1)?;
    let opened = File::open("/dev/null")?;
    let file = PathBuf::from(format!("/proc/self/fd/{}", opened.as_raw_fd()));
    let mut fresh = Command::new(env::current_exe()?);
    fresh.args([&directory, &file]); // a closure cannot go there, nor a `Value`

    println!("A forked child has its parent's");
    let mut child = Process::spawn("child", || report(&directory, &file))?;
    ensure!(child.join()?.success(), "the child failed");

    println!("A fresh program has its parent's");
    ensure!(fresh.status()?.success(), "the fresh program failed");

    println!("While a second thread runs:");
    thread::scope(|scope| {
        let (_done, wait) = mpsc::channel::<()>(); // the thread ends when `_done` is dropped
        scope.spawn(move || wait.recv());
        match Process::spawn("child", || ()) {
            Err(error) => println!("  fork: {error}"),
            Ok(_) => bail!("forked beside a thread"),
        }
        println!("  fresh program: {}", ...);
        Ok(())
    })
}
