//! Several processes that begin at the same time, and what they do to a lock.

use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use benchmarks::mutex::Counter;
use benchmarks::work::Prepared;
use common::{Process, Queue, Value};

/// The time from when `count` processes begin to when the last of them is done. Together they do
/// `n` operations: `work(number, share)`, with the process's number and its share of them.
pub fn together(
    count: u64,
    n: u64,
    work: impl Fn(u64, u64) -> Result<()> + Sync,
) -> Result<Duration> {
    let share = n.div_ceil(count);
    let (ready, go) = (Queue::new()?, Queue::new()?);
    let done = Queue::<Result<(), String>>::new()?;
    let body = |number| -> Result<()> {
        ready.put(&())?;
        let () = go.get()?;
        let result = work(number, share);
        Ok(done.put(&result.map_err(|error| format!("{error:#}")))?)
    };
    let mut processes = (0..count)
        .map(|number| Process::spawn("one of them", || body(number)))
        .collect::<Result<Vec<_>, _>>()?;
    for _ in 0..count {
        let () = ready.get()?;
    }
    let start = Instant::now();
    for _ in 0..count {
        go.put(&())?;
    }
    for _ in 0..count {
        done.get()?.map_err(|error| anyhow!(error))?;
    }
    let time = start.elapsed();
    for process in &mut processes {
        process.join()?;
    }
    // Not all shares are whole.
    Ok(time.mul_f64(n as f64 / (share * count) as f64))
}

pub fn locks(processes: u64) -> Result<Prepared> {
    let value = Value::new(0_u64)?;
    Ok(Box::new(move |n| {
        together(processes, n, |_, share| {
            for _ in 0..share {
                *value.lock()? += 1;
            }
            Ok(())
        })
    }))
}

pub fn mutexes(processes: u64) -> Result<Prepared> {
    let counter = Counter::new()?;
    Ok(Box::new(move |n| {
        together(processes, n, |_, share| counter.add(share))
    }))
}
