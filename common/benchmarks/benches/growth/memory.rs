//! A process that has much memory starts another.

use std::env;
use std::fs;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use benchmarks::work::Prepared;
use common::Process;
use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap_anonymous};

/// The argument with which this program ends at once.
pub const EXIT: &str = "--exit";

const PAGE: usize = 4096;

/// Takes memory and writes to each page of it. It is never given back.
fn fill(bytes: u64) -> Result<()> {
    let length = usize::try_from(bytes)?;
    let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    // SAFETY: a new mapping touches no existing memory, and the writes are inside of it. Huge
    // pages would make the tables that a fork copies five hundred times smaller, on some machines.
    unsafe {
        let memory = mmap_anonymous(None, length.try_into()?, protection, MapFlags::MAP_PRIVATE)?;
        madvise(memory, length, MmapAdvise::MADV_NOHUGEPAGE)?;
        let memory: *mut u8 = memory.as_ptr().cast();
        for at in (0..length).step_by(PAGE) {
            memory.add(at).write_volatile(1);
        }
    }
    Ok(())
}

pub fn fork(bytes: u64) -> Result<Prepared> {
    fill(bytes)?;
    Ok(Box::new(|n| {
        let start = Instant::now();
        for _ in 0..n {
            Process::spawn("child", || ())?.join()?;
        }
        Ok(start.elapsed())
    }))
}

pub fn exec(bytes: u64) -> Result<Prepared> {
    fill(bytes)?;
    let program = env::current_exe()?;
    Ok(Box::new(move |n| {
        let start = Instant::now();
        for _ in 0..n {
            let status = Command::new(&program).arg(EXIT).status()?;
            ensure!(status.success(), "{status}");
        }
        Ok(start.elapsed())
    }))
}

/// How many bytes of memory the system could still give.
pub fn available() -> Result<u64> {
    let info = fs::read_to_string("/proc/meminfo")?;
    let line = info
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"));
    let kibibytes = line.and_then(|line| line.split_whitespace().next());
    let kibibytes: u64 = kibibytes.context("no MemAvailable")?.parse()?;
    Ok(kibibytes * 1024)
}
