//! Three workers, on any hosts. One ends, one dies, one is only slow: what can their parent know?

use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;
use cluster::{Cluster, Options};
use nix::sys::signal::Signal;

/// Says so, and works for a while.
fn worker(number: u32, work: Duration) -> Result<()> {
    println!("Worker {number} starting...");
    thread::sleep(work);
    Ok(())
}

fn main() -> Result<()> {
    common::end_on_broken_pipe(); // `| head -1` ends this program and its processes quietly

    let cluster = Cluster::join(Options::parse())?;
    let mut watch = cluster.watch()?; // before they start, so as to hear each
    let long = Duration::from_secs(3600);
    let mut first = cluster.process("worker 1", || worker(1, Duration::from_secs(2)))?;
    let second = cluster.process("worker 2", || worker(2, long))?;
    let third = cluster.process("worker 3", || worker(3, long))?;

    let minute = Duration::from_secs(60);
    while cluster.is_elsewhere() {
        // Until Ctrl-C: end them, kill them and stop them as you like.
        if let Some(change) = watch.wait(minute)? {
            println!("{change}");
        }
    }
    let mut news = || -> Result<()> {
        let change = watch.wait(minute)?.context("no news for a minute")?;
        println!("{change}");
        Ok(())
    };
    for _ in 1..=3 {
        news()?; // one is there
    }
    news()?; // the first one ends by itself, and has said so
    first.join()?;

    second.signal(Signal::SIGKILL)?; // its kernel knows, but who tells another host?
    news()?;

    third.signal(Signal::SIGSTOP)?; // as when its host is busy, or cut off
    news()?;
    third.signal(Signal::SIGCONT)?;
    news()?;

    drop((second, third));
    println!("All processes finished.");
    Ok(())
}
