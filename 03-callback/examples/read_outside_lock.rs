//! To read a shared value again after its lock was released is to read another's change.
//!
//! Two producers count up a shared value and hand out the numbers, as in the chapter on queues. The
//! article's producers leave the lock and read the value again for the `put`; by then the other one
//! has added to it. The cure is to take a copy while the lock is held.
//!
//! In real life this is chance. Here the processes wait for each other at the worst moment.
//!
//! Output: exact, for this reason, and since the numbers are sorted.

use anyhow::{Result, ensure};
use common::{Connection, PipeError, Process, Queue, Value, pipe};

type Other = Connection<(), ()>;

/// Waits until the other process is here, too.
fn meet(other: &Other) -> Result<(), PipeError> {
    other.send(&())?;
    other.recv()
}

fn read_outside(counter: &Value<u32>, other: &Other) -> Result<u32> {
    *counter.lock()? += 1;
    meet(other)?;
    let item = *counter.lock()?; // both have added, and both read the same
    meet(other)?;
    Ok(item)
}

fn read_inside(counter: &Value<u32>, other: &Other) -> Result<u32> {
    let item = {
        let mut counter = counter.lock()?;
        *counter += 1;
        *counter
    };
    meet(other)?;
    Ok(item)
}

/// The numbers that two producers hand out.
fn numbers(next: fn(&Value<u32>, &Other) -> Result<u32>) -> Result<Vec<u32>> {
    let (counter, queue) = (&Value::new(0)?, &Queue::new()?);
    let (one, two) = pipe()?;
    let produce = |other| (0..4).try_for_each(|_| anyhow::Ok(queue.put(&next(counter, &other)?)?));
    let mut one = Process::spawn("one", move || produce(one))?;
    let mut two = Process::spawn("two", move || produce(two))?;
    ensure!(one.join()?.success() && two.join()?.success(), "failed");

    queue.close();
    let mut numbers = queue.iter().collect::<Result<Vec<_>, _>>()?;
    numbers.sort_unstable();
    Ok(numbers)
}

fn main() -> Result<()> {
    common::end_on_broken_pipe();
    println!("Read outside the lock: {:?}", numbers(read_outside)?);
    println!("Read inside the lock:  {:?}", numbers(read_inside)?);
    Ok(())
}
