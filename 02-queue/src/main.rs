//! Two producers and two consumers share a counter, a lock and a queue.

use anyhow::{Result, ensure};
use common::{Lock, Process, Queue, Value};

const ITEMS_PER_PRODUCER: u32 = 1000;

/// Takes the next number, says so, and puts it on the queue.
fn producer(index: u32, counter: &Value<u32>, printing: &Lock, queue: &Queue<u32>) -> Result<()> {
    for _ in 0..ITEMS_PER_PRODUCER {
        let item = {
            let _printing = printing.lock()?;
            let mut counter = counter.lock()?;
            *counter += 1;
            println!("producer {index} produced {counter}");
            *counter // read inside the lock: another producer adds to it as soon as it is free
        };
        queue.put(&item)?;
    }
    Ok(())
}

/// Says what it gets, until the queue is closed and empty, and hands in a list of it.
fn consumer(index: u32, printing: &Lock, queue: &Queue<u32>, got: &Queue<Vec<u32>>) -> Result<()> {
    let mut items = Vec::new();
    for item in queue.iter() {
        let item = item?;
        let _printing = printing.lock()?;
        println!("consumer {index} consumed {item}");
        items.push(item);
    }
    got.put(&items)?;
    Ok(())
}

fn main() -> Result<()> {
    common::end_on_broken_pipe(); // `| head -1` ends this program and its children quietly

    let (counter, printing) = (Value::new(0)?, Lock::new()?);
    let (queue, got) = (Queue::new()?, Queue::new()?);

    let mut producers = Vec::new();
    let mut consumers = Vec::new();
    for index in 1..=2 {
        let produce = || producer(index, &counter, &printing, &queue);
        producers.push(Process::spawn(format!("producer {index}"), produce)?);
        let consume = || consumer(index, &printing, &queue, &got);
        consumers.push(Process::spawn(format!("consumer {index}"), consume)?);
    }

    for process in &mut producers {
        ensure!(process.join()?.success(), "{} failed", process.name());
    }
    queue.close(); // nothing more will come: the consumers finish what is there, and end
    for process in &mut consumers {
        ensure!(process.join()?.success(), "{} failed", process.name());
    }

    let (some, others) = (got.try_get()?, got.try_get()?);
    let mut all = [some.as_slice(), others.as_slice()].concat();
    all.sort_unstable();
    let each_once = all.iter().copied().eq(1..=*counter.lock()?);
    println!(
        "The consumers got {} and {} items, together 1..={} {}.",
        some.len(),
        others.len(),
        counter.lock()?,
        if each_once {
            "each once"
        } else {
            "NOT each once"
        },
    );
    println!("All processes finished.");
    Ok(())
}
