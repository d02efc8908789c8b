//! The rows that another crate for processes can do: ipc-channel and procspawn.

use std::hint::black_box;
use std::time::{Duration, Instant};

use anyhow::Result;
use common::Process;
use ipc_channel::ipc;
use procspawn::Pool;
use serde::{Deserialize, Serialize};

use benchmarks::work::{Letter, MIB, Timed, cores};

/// Each of procspawn's tasks takes several descriptors while it is under way.
const UNDER_WAY: u64 = 64;

pub fn timed(row: &str) -> Option<Timed> {
    Some(match row {
        "start" => start,
        "queue" => |n| channel(n, &7_u64),
        "structs" => |n| channel(n, &Letter::default()),
        "bytes" => bytes,
        "echo" => echo,
        "apply" => |n| tasks(n, 1),
        "async" => |n| tasks(n, UNDER_WAY),
        _ => return None,
    })
}

fn start(n: u64) -> Result<Duration> {
    let start = Instant::now();
    for _ in 0..n {
        procspawn::spawn((), |()| ()).join()?;
    }
    Ok(start.elapsed())
}

/// The time of `n` items after the first, with which the producer has begun.
fn received<T>(n: u64, next: impl Fn() -> Result<T>) -> Result<Duration> {
    next()?;
    let start = Instant::now();
    for _ in 0..n {
        black_box(next()?);
    }
    Ok(start.elapsed())
}

fn channel<T>(n: u64, item: &T) -> Result<Duration>
where
    T: Clone + Send + Sync + Serialize + for<'de> Deserialize<'de>,
{
    let (sender, receiver) = ipc::channel::<T>()?;
    let mut producer = Process::spawn("producer", move || {
        (0..=n).try_for_each(|_| sender.send(item.clone()))
    })?;
    let time = received(n, || Ok(receiver.recv()?))?;
    producer.join()?;
    Ok(time)
}

fn bytes(n: u64) -> Result<Duration> {
    let (sender, receiver) = ipc::bytes_channel()?;
    let item = vec![7_u8; MIB];
    let mut producer = Process::spawn("producer", move || {
        (0..=n).try_for_each(|_| sender.send(&item))
    })?;
    let time = received(n, || Ok(receiver.recv()?))?;
    producer.join()?;
    Ok(time)
}

/// There and back, over two channels of ipc-channel.
pub fn echo(n: u64) -> Result<Duration> {
    let (to, there) = ipc::channel::<u64>()?;
    let (from, back) = ipc::channel::<u64>()?;
    let _echo = Process::spawn("echo", move || -> Result<()> {
        loop {
            from.send(there.recv()?)?;
        }
    })?;
    let start = Instant::now();
    for _ in 0..n {
        to.send(7)?;
        back.recv()?;
    }
    Ok(start.elapsed())
}

fn tasks(n: u64, under_way: u64) -> Result<Duration> {
    let pool = Pool::new(cores())?;
    // Its processes start in the background.
    pool.spawn(0, |number: u64| number + 1).join()?;
    let start = Instant::now();
    for first in (0..n).step_by(under_way as usize) {
        let tasks: Vec<_> = (first..n.min(first + under_way))
            .map(|number| pool.spawn(number, |number| number + 1))
            .collect();
        for task in tasks {
            task.join()?;
        }
    }
    Ok(start.elapsed())
}
