//! What each operation costs, alone and with another process in its way.
//!
//!     cargo bench -p common --bench operations -- --quick queue
//!
//! Criterion runs this on the main thread and starts no other in the configuration used here, so
//! the benchmarks may fork. Were that to change, the first `Process::spawn` would say so.

use std::hint::black_box;
use std::time::Duration;

use anyhow::{Context, Result};
use common::{Lock, Manager, Pool, Process, Queue, Value, pipe};
use criterion::{Criterion, Throughput};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

const MIB: usize = 1 << 20;

fn main() -> Result<()> {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(2))
        .sample_size(20)
        .configure_from_args();
    process(&mut criterion);
    lock(&mut criterion)?;
    value(&mut criterion)?;
    queue(&mut criterion)?;
    there_and_back(&mut criterion)?;
    manager(&mut criterion)?;
    pool(&mut criterion)?;
    criterion.final_summary();
    Ok(())
}

/// Another process that does the same again and again, until it is dropped.
fn busy(work: impl Fn() -> Result<()> + Sync) -> Result<Process> {
    Process::spawn("busy", || -> Result<()> {
        loop {
            work()?;
        }
    })
    .context("no process to contend with")
}

fn process(c: &mut Criterion) {
    c.bench_function("process/spawn and join", |b| {
        b.iter(|| -> Result<_> { Ok(Process::spawn("child", || ())?.join()?) });
    });
}

fn lock(c: &mut Criterion) -> Result<()> {
    let lock = Lock::new()?;
    let mut group = c.benchmark_group("lock");
    group.bench_function("alone", |b| b.iter(|| lock.lock().map(drop)));
    let _other = busy(|| Ok(lock.lock().map(drop)?))?;
    group.bench_function("contended", |b| b.iter(|| lock.lock().map(drop)));
    Ok(())
}

fn value(c: &mut Criterion) -> Result<()> {
    let value = Value::new(0_u64)?;
    let add = || -> Result<()> {
        *value.lock()? += 1;
        Ok(())
    };
    let mut group = c.benchmark_group("value");
    group.bench_function("alone", |b| b.iter(add));
    let _other = busy(add)?;
    group.bench_function("contended", |b| b.iter(add));
    Ok(())
}

#[derive(Serialize, Deserialize)]
struct Letter {
    to: String,
    numbers: Vec<f64>,
}

fn queue(c: &mut Criterion) -> Result<()> {
    let letter = Letter {
        to: "a".repeat(512),
        numbers: vec![7.5; 64],
    };
    items(c, "8 B", 8, &7.5_f64)?;
    items(c, "1 KiB struct", 1024, &letter)?;
    items(c, "1 MiB", MIB as u64, &ByteBuf::from(vec![7; MIB]))
}

fn items<T>(c: &mut Criterion, name: &str, bytes: u64, item: &T) -> Result<()>
where
    T: Serialize + for<'de> Deserialize<'de> + Sync,
{
    let mut group = c.benchmark_group("queue");
    group.throughput(Throughput::Bytes(bytes));
    let queue = Queue::with_capacity(4 * MIB)?;
    group.bench_function(format!("{name}, put and get"), |b| {
        b.iter(|| -> Result<T> {
            queue.put(item)?;
            Ok(queue.get()?)
        });
    });
    {
        let _taker = busy(|| Ok(queue.get().map(drop)?))?;
        group.bench_function(format!("{name}, put, another gets"), |b| {
            b.iter(|| queue.put(item));
        });
    }
    let queue = Queue::with_capacity(4 * MIB)?;
    let _givers = [
        busy(|| Ok(queue.put(item)?))?,
        busy(|| Ok(queue.put(item)?))?,
    ];
    group.bench_function(format!("{name}, get, two others put"), |b| {
        b.iter(|| queue.get());
    });
    Ok(())
}

fn there_and_back(c: &mut Criterion) -> Result<()> {
    let (there, back) = (Queue::new()?, Queue::new()?);
    let echo = busy(|| Ok(back.put(&there.get()?)?))?;
    c.bench_function("queue/there and back", |b| {
        b.iter(|| -> Result<u64> {
            there.put(&7)?;
            Ok(back.get()?)
        });
    });
    drop(echo);

    let (mine, theirs) = pipe::<u64, u64>()?;
    let _echo = Process::spawn("echo", move || -> Result<()> {
        loop {
            theirs.send(&theirs.recv()?)?;
        }
    })?;
    c.bench_function("pipe/there and back", |b| {
        b.iter(|| -> Result<u64> {
            mine.send(&7)?;
            Ok(mine.recv()?)
        });
    });
    Ok(())
}

fn manager(c: &mut Criterion) -> Result<()> {
    let manager = Manager::start()?;
    let (value, lock) = (manager.value(0_u64)?, manager.lock()?);
    let cycle = || -> Result<()> {
        let _guard = lock.lock()?;
        Ok(value.set(&(value.get()? + 1))?)
    };
    let mut group = c.benchmark_group("manager");
    group.bench_function("get", |b| b.iter(|| value.get()));
    group.bench_function("set", |b| b.iter(|| value.set(&7)));
    group.bench_function("lock, get, set, unlock", |b| b.iter(cycle));
    let _other = busy(cycle)?;
    group.bench_function("lock, get, set, unlock, contended", |b| b.iter(cycle));
    Ok(())
}

fn pool(c: &mut Criterion) -> Result<()> {
    const TASKS: u64 = 10_000;
    let mut group = c.benchmark_group("pool");
    for workers in [1, 4] {
        let pool = Pool::new(workers, |number: u64| anyhow::Ok(black_box(number) + 1))?;
        group.throughput(Throughput::Elements(1));
        group.bench_function(format!("apply, {workers} workers"), |b| {
            b.iter(|| pool.apply(&7));
        });
        group.throughput(Throughput::Elements(TASKS));
        group.bench_function(format!("apply_async, {workers} workers"), |b| {
            b.iter(|| -> Result<u64> {
                let results: Vec<_> = (0..TASKS).map(|task| pool.apply_async(&task)).collect();
                let mut sum = 0;
                for result in results {
                    sum += result.get()?;
                }
                Ok(sum)
            });
        });
        group.bench_function(format!("map, {workers} workers"), |b| {
            b.iter(|| pool.map(0..TASKS));
        });
    }
    Ok(())
}
