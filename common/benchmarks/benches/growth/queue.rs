//! Queues, by what goes through them, how large they are and how many use them.

use std::hint::black_box;
use std::io::{PipeReader, PipeWriter, Read, Write};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use benchmarks::mutex::shared;
use benchmarks::work::{MIB, Prepared};
use common::{Process, Queue};
use ipc_channel::ipc;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_bytes::ByteBuf;

use crate::together::together;

/// A queue's ring is a power of two, with four bytes that are not for an item.
fn with_ring<T>(bytes: u64) -> Result<Queue<T>> {
    Ok(Queue::with_capacity(bytes as usize - 4)?)
}

/// What a queue takes for items of this size: the default, or room for four of them.
fn ring_for(size: u64) -> u64 {
    (4 * size).max(MIB as u64)
}

/// The time of `n` items after the first, with which the producer has begun.
fn received<T>(
    n: u64,
    put: impl Fn() -> Result<()> + Sync,
    get: impl Fn() -> Result<T>,
) -> Result<Duration> {
    let mut producer = Process::spawn("producer", || (0..=n).try_for_each(|_| put()))?;
    get()?;
    let start = Instant::now();
    for _ in 0..n {
        // Or the compiler need not make an item that nobody looks at.
        black_box(get()?);
    }
    let time = start.elapsed();
    producer.join()?;
    Ok(time)
}

fn one_to_one<T>(ring: u64, item: T) -> Prepared
where
    T: Serialize + DeserializeOwned + Sync + 'static,
{
    Box::new(move |n| {
        let queue = with_ring(ring)?;
        received(n, || Ok(queue.put(&item)?), || Ok(queue.get()?))
    })
}

pub fn size(size: u64) -> Result<Prepared> {
    let item = ByteBuf::from(vec![7; size as usize]);
    Ok(one_to_one(ring_for(size), item))
}

pub fn capacity(ring: u64, size: u64) -> Result<Prepared> {
    Ok(match size {
        8 => one_to_one(ring, 7_u64),
        _ => one_to_one(ring, ByteBuf::from(vec![7; size as usize])),
    })
}

pub fn ipc_channel(size: u64) -> Result<Prepared> {
    let item = vec![7; size as usize];
    Ok(Box::new(move |n| {
        let (sender, receiver) = ipc::bytes_channel()?;
        let item = &item;
        let mut producer = Process::spawn("producer", move || {
            (0..=n).try_for_each(|_| sender.send(item))
        })?;
        receiver.recv()?;
        let start = Instant::now();
        for _ in 0..n {
            black_box(receiver.recv()?);
        }
        let time = start.elapsed();
        producer.join()?;
        Ok(time)
    }))
}

/// Into as much shared memory as the queue has, from its beginning to its end and again.
pub fn copy(size: u64) -> Result<Prepared> {
    let ring = ring_for(size) as usize;
    let to: *mut u8 = shared(ring)?;
    let size = size as usize;
    let from = vec![7_u8; size];
    Ok(Box::new(move |n| {
        let start = Instant::now();
        for place in (0..ring / size).cycle().take(n as usize) {
            // SAFETY: inside of the ring, and `from` is as long. The barriers keep the copies
            // apart.
            unsafe {
                let to = to.add(place * size);
                to.copy_from_nonoverlapping(black_box(&from).as_ptr(), size);
                black_box(to);
            }
        }
        Ok(start.elapsed())
    }))
}

/// One queue, as many producers as consumers.
pub fn pairs(pairs: u64) -> Result<Prepared> {
    Ok(Box::new(move |n| {
        let queue = Queue::<u64>::new()?;
        in_pairs(
            pairs,
            n,
            |_| Ok(queue.put(&7)?),
            |_| {
                black_box(queue.get()?);
                Ok(())
            },
        )
    }))
}

/// As many queues as pairs, each from one process to another.
pub fn streams(pairs: u64) -> Result<Prepared> {
    Ok(Box::new(move |n| {
        let queues = (0..pairs)
            .map(|_| Queue::<u64>::new())
            .collect::<Result<Vec<_>, _>>()?;
        in_pairs(
            pairs,
            n,
            |pair| Ok(queues[pair].put(&7)?),
            |pair| {
                black_box(queues[pair].get()?);
                Ok(())
            },
        )
    }))
}

/// Each pair's two queues, there and back.
pub fn trips(pairs: u64) -> Result<Prepared> {
    Ok(Box::new(move |n| {
        let queues = (0..pairs)
            .map(|_| Ok((Queue::<u64>::new()?, Queue::<u64>::new()?)))
            .collect::<Result<Vec<_>>>()?;
        in_pairs(
            pairs,
            n,
            |pair| {
                let (there, back) = &queues[pair];
                there.put(&7)?;
                back.get()?;
                Ok(())
            },
            |pair| {
                let (there, back) = &queues[pair];
                Ok(back.put(&there.get()?)?)
            },
        )
    }))
}

/// The same over two pipes of the system.
pub fn pipes(pairs: u64) -> Result<Prepared> {
    fn transfer((from, to): &(PipeReader, PipeWriter), get_first: bool) -> Result<()> {
        let (mut from, mut to, mut bytes) = (from, to, [7; 8]);
        if get_first {
            from.read_exact(&mut bytes)?;
            Ok(to.write_all(&bytes)?)
        } else {
            to.write_all(&bytes)?;
            Ok(from.read_exact(&mut bytes)?)
        }
    }
    Ok(Box::new(move |n| {
        let mut ends = Vec::new();
        for _ in 0..pairs {
            let ((there, to), (back, from)) = (std::io::pipe()?, std::io::pipe()?);
            ends.push([(back, to), (there, from)]);
        }
        in_pairs(
            pairs,
            n,
            |pair| transfer(&ends[pair][0], false),
            |pair| transfer(&ends[pair][1], true),
        )
    }))
}

/// Pairs of processes that do `n` operations together, each side of a pair its own part of each.
fn in_pairs(
    pairs: u64,
    n: u64,
    one: impl Fn(usize) -> Result<()> + Sync,
    other: impl Fn(usize) -> Result<()> + Sync,
) -> Result<Duration> {
    // Two processes share in each operation.
    let time = together(2 * pairs, 2 * n, |number, share| {
        let pair = usize::try_from(number / 2).context("a pair's number")?;
        match number % 2 {
            0 => (0..share).try_for_each(|_| one(pair)),
            _ => (0..share).try_for_each(|_| other(pair)),
        }
    })?;
    Ok(time)
}
