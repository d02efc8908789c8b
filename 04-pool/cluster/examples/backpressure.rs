//! A producer puts 200 MB as fast as it can, its consumer takes its time, and the memory of both
//! stays small: the producer waits.
//!
//! Output: pattern. The memory is masked, and who says it first does not matter.

use std::fs;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;
use cluster::{Cluster, Options, Queue};

const ITEMS: u32 = 2000;
const BYTES: usize = 100_000;
const ROOM: u32 = 20;

/// The most that this process has had, in MB.
fn peak() -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    Ok(number.context("no VmHWM")?.parse::<u64>()? / 1024)
}

fn producer(queue: &Queue<String>) -> Result<()> {
    let item = "x".repeat(BYTES);
    for number in 0..ITEMS {
        queue.put(&number.to_string(), &item)?;
    }
    queue.end("producer")?;
    println!("producer, peak in MB: {}", peak()?);
    Ok(())
}

fn consumer(queue: &Queue<String>) -> Result<()> {
    for item in queue.iter()? {
        thread::sleep(Duration::from_micros(500));
        item?.count("consumer")?;
    }
    println!("consumer, peak in MB: {}", peak()?);
    Ok(())
}

fn main() -> Result<()> {
    common::end_on_broken_pipe();
    let cluster = Cluster::join(Options::parse())?;
    let queue = cluster.queue(ROOM, 1)?;
    let mut processes = [
        cluster.process("producer", || producer(&queue))?,
        cluster.process("consumer", || consumer(&queue))?,
    ];
    let counted = queue.join(&mut processes)?;
    println!(
        "{} items of {BYTES} bytes, each counted once",
        counted.len()
    );
    cluster.end()
}
