//! A fresh program instead of a forked child: what each of them has from its parent.
//!
//! The fresh program is this one again, started by `std::process::Command`. It has what belongs
//! to the process, and nothing of the memory: no variable, no closure, no `Value`. Files are
//! closed, since Rust opens all of them with `O_CLOEXEC`. In return, threads may run beside it.
//!
//! Output: exact.

use std::fs::{self, File};
use std::os::unix::process::parent_id;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc;
use std::{env, thread};

use anyhow::{Result, bail, ensure};
use common::{Process, Value};

static VARIABLE: AtomicBool = AtomicBool::new(false);

/// Says what this process has from its parent, as the kernel shows both under `/proc`.
fn report() -> Result<()> {
    let own = Path::new("/proc/self");
    let parent = Path::new("/proc").join(parent_id().to_string());
    let same_link =
        |name| anyhow::Ok(own.join(name).read_link()? == parent.join(name).read_link()?);
    let environment = fs::read(own.join("environ"))? == fs::read(parent.join("environ"))?;
    let streams = same_link("fd/0")? && same_link("fd/1")? && same_link("fd/2")?;
    let shared_memory = fs::read_to_string(own.join("maps"))?.contains(" rw-s ");
    let mut open_files = fs::read_dir(own.join("fd"))?.flatten();
    let program = env::current_exe()?;
    let program_file = open_files.any(|file| file.path().read_link().is_ok_and(|to| to == program));

    println!("  environment        {environment}");
    println!("  working directory  {}", same_link("cwd")?);
    println!("  standard streams   {streams}");
    println!("  variables          {}", VARIABLE.load(Relaxed));
    println!("  shared memory      {shared_memory}");
    println!("  open files         {program_file}");
    Ok(())
}

fn main() -> Result<()> {
    common::end_on_broken_pipe();
    if env::args().nth(1).as_deref() == Some("child") {
        return report();
    }

    VARIABLE.store(true, Relaxed);
    let _shared_memory = Value::new(0)?;
    let _open_file = File::open(env::current_exe()?)?;

    println!("A forked child has its parent's");
    let mut forked = Process::spawn("child", report)?;
    ensure!(forked.join()?.success(), "the forked child failed");

    thread::scope(|scope| {
        let (_until_dropped, wait) = mpsc::channel::<()>();
        scope.spawn(move || wait.recv());

        println!("With a second thread, a fork is refused:");
        match Process::spawn("child", report) {
            Err(error) => println!("  {error}"),
            Ok(_) => bail!("a process with two threads was forked"),
        }

        println!("A fresh program starts all the same, and has its parent's");
        let status = Command::new(env::current_exe()?).arg("child").status()?;
        ensure!(status.success(), "the fresh program failed");
        Ok(())
    })
}
