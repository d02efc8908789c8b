//! A consumer that is not told the end waits for an item that will never come.
//!
//! An empty queue has not ended: the producer may be slow. Who stops when it is empty loses items;
//! who does not stop waits on. So the end has to be said: `close`, when nothing more will come.
//! Python's queues lack it, and there the end is an item, `None`, for each consumer.
//!
//! Output: exact, since each waits for the other.

use std::time::Duration;

use anyhow::{Result, ensure};
use common::{Process, Queue};

fn main() -> Result<()> {
    common::end_on_broken_pipe();
    let (queue, go_on) = (Queue::<u32>::new()?, Queue::new()?);
    let mut producer = Process::spawn("producer", || -> Result<()> {
        queue.put(&1)?;
        go_on.get()?; // a producer that takes its time
        queue.put(&2)?;
        Ok(())
    })?;

    println!("Got item {}. Empty: {}.", queue.get()?, queue.is_empty());
    go_on.put(&())?;
    println!("So that was not the end: got item {}.", queue.get()?);
    ensure!(producer.join()?.success(), "the producer failed");

    // Without a limit, this would wait as long as any process goes on: see `dead_producer`.
    match queue.get_timeout(Duration::from_millis(100)) {
        Err(error) => println!("The producer has ended, but nobody says so: {error}."),
        Ok(item) => println!("Got item {item}."),
    }
    queue.close();
    match queue.get() {
        Err(error) => println!("Closed: {error}."),
        Ok(item) => println!("Got item {item}."),
    }
    Ok(())
}
