//! Each row with this crate: a function that does it `n` times and says how long that took.

use std::hint::black_box;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use common::{Array, LockError, Manager, Pool, Process, Queue, Value};
use serde::Serialize;
use serde::de::DeserializeOwned;

use benchmarks::work::{
    HEIGHT, Letter, MIB, Timed, WIDTH, buffer, collatz, cores, cpu_of_children, mandelbrot_row,
    with_another,
};

pub fn timed(row: &str) -> Option<Timed> {
    Some(match row {
        "start" => start,
        "lock" => |n| lock(n, false),
        "lock-2" => |n| lock(n, true),
        "queue" => |n| queue(n, MIB, &7_u64),
        "queue-2-2" => queue_two_to_two,
        "structs" => |n| queue(n, MIB, &Letter::default()),
        "bytes" => |n| queue(n, 4 * MIB, &buffer()),
        "echo" => echo,
        "manager" => manager,
        "apply" => apply,
        "async" => apply_async,
        "map" => map,
        "mandelbrot" => mandelbrot,
        "idle" => idle,
        _ => return None,
    })
}

fn start(n: u64) -> Result<Duration> {
    let start = Instant::now();
    for _ in 0..n {
        Process::spawn("child", || ())?.join()?;
    }
    Ok(start.elapsed())
}

fn lock(n: u64, contended: bool) -> Result<Duration> {
    let value = Value::new(0_u64)?;
    with_another(contended, n, |n| {
        for _ in 0..n {
            *value.lock()? += 1;
        }
        Ok(())
    })
}

fn queue<T: Serialize + DeserializeOwned + Sync>(
    n: u64,
    capacity: usize,
    item: &T,
) -> Result<Duration> {
    let queue = Queue::with_capacity(capacity)?;
    let mut producer = Process::spawn("producer", || (0..=n).try_for_each(|_| queue.put(item)))?;
    let _first = queue.get()?;
    let start = Instant::now();
    for _ in 0..n {
        // Or the compiler need not make an item that nobody looks at.
        black_box(queue.get()?);
    }
    let time = start.elapsed();
    producer.join()?;
    Ok(time)
}

fn queue_two_to_two(n: u64) -> Result<Duration> {
    let queue = Queue::new()?;
    let produce = || (0..n / 2).try_for_each(|item| queue.put(&item));
    let _producers = [
        Process::spawn("producer", produce)?,
        Process::spawn("producer", produce)?,
    ];
    with_another(true, n / 2 * 2, |n| {
        for _ in 0..n {
            black_box(queue.get()?);
        }
        Ok(())
    })
}

fn echo(n: u64) -> Result<Duration> {
    let (there, back) = (Queue::<u64>::new()?, Queue::<u64>::new()?);
    let _echo = Process::spawn("echo", || -> Result<()> {
        loop {
            back.put(&there.get()?)?;
        }
    })?;
    let once = || -> Result<u64> {
        there.put(&7)?;
        Ok(back.get()?)
    };
    once()?;
    let start = Instant::now();
    for _ in 0..n {
        once()?;
    }
    Ok(start.elapsed())
}

fn manager(n: u64) -> Result<Duration> {
    let manager = Manager::start()?;
    let (value, lock) = (manager.value(0_u64)?, manager.lock()?);
    let start = Instant::now();
    for _ in 0..n {
        let _guard = lock.lock()?;
        value.set(&(value.get()? + 1))?;
    }
    Ok(start.elapsed())
}

fn apply(n: u64) -> Result<Duration> {
    let pool = Pool::new(cores(), |number: u64| anyhow::Ok(number + 1))?;
    let start = Instant::now();
    for number in 0..n {
        pool.apply(&number)?;
    }
    Ok(start.elapsed())
}

fn apply_async(n: u64) -> Result<Duration> {
    let pool = Pool::new(cores(), |number: u64| anyhow::Ok(number + 1))?;
    let start = Instant::now();
    let results: Vec<_> = (0..n).map(|number| pool.apply_async(&number)).collect();
    for result in results {
        result.get()?;
    }
    Ok(start.elapsed())
}

fn map(n: u64) -> Result<Duration> {
    let pool = Pool::new(cores(), |number: u64| anyhow::Ok(collatz(number)))?;
    let start = Instant::now();
    let lengths = pool.map(1..=n)?;
    let time = start.elapsed();
    lengths.last().context("no lengths")?;
    Ok(time)
}

fn mandelbrot(n: u64) -> Result<Duration> {
    let picture = Array::new(&[0_u16; WIDTH * HEIGHT])?;
    let pool = Pool::new(cores(), |y: usize| -> Result<(), LockError> {
        let row: Vec<u16> = mandelbrot_row(y).collect();
        picture.lock()?[y * WIDTH..][..WIDTH].copy_from_slice(&row);
        Ok(())
    })?;
    let start = Instant::now();
    for _ in 0..n {
        pool.imap_unordered(0..HEIGHT).collect::<Result<(), _>>()?;
    }
    Ok(start.elapsed())
}

/// The CPU time of four workers, their supervisor and their parent, in `n` milliseconds.
fn idle(n: u64) -> Result<Duration> {
    let _pool = Pool::new(4, |number: u64| anyhow::Ok(number))?;
    // What they do before they come to rest is not meant.
    sleep(Duration::from_millis(20));
    let before = cpu_of_children()?;
    sleep(Duration::from_millis(n));
    Ok(cpu_of_children()?.saturating_sub(before))
}
