//! To join a producer before its items are taken is to wait for each other.
//!
//! The producer waits for room in the queue, and its parent, who would make room, waits for the
//! producer. With a limit, the join says that it still runs; without one, it would be the error
//! that nobody can go on, as in `dead_stage`. In Python the same happens behind the scenes: `put`
//! returns at once, but a process ends only when its feeder thread has written all items to a pipe,
//! which holds 64 KiB.
//!
//! The cure: drain first, then join.
//!
//! Output: exact, since the items never fit into the queue at once.

use std::time::Duration;

use anyhow::Result;
use common::{Process, Queue};

const ITEMS: usize = 1000;

fn main() -> Result<()> {
    common::end_on_broken_pipe();
    let queue = Queue::with_capacity(1000)?; // bytes; an item takes five or six of them
    let mut producer = Process::spawn("producer", || {
        (0..ITEMS).try_for_each(|item| queue.put(&item))
    })?;

    match producer.join_timeout(Duration::from_millis(100))? {
        None => println!("Join first: the producer still waits for room."),
        Some(status) => println!("Join first: {status}"),
    }

    let items = queue
        .iter()
        .take(ITEMS)
        .collect::<Result<Vec<usize>, _>>()?;
    println!("Drain first: got {} items.", items.len());
    println!("Then join: {}", producer.join()?);
    Ok(())
}
