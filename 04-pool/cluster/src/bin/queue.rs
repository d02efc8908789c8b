//! Two producers and two consumers, on any hosts, share a queue that has room for a hundred items.

use anyhow::Result;
use clap::Parser;
use cluster::{Cluster, Options, Queue};

const PRODUCERS: u32 = 2;
const CONSUMERS: u32 = 2;
const ITEMS_PER_PRODUCER: u32 = 1000;

/// Puts its numbers on the queue, each under a name of its own, and says that these were all.
fn producer(index: u32, queue: &Queue<u32>) -> Result<()> {
    for item in 1..=ITEMS_PER_PRODUCER {
        queue.put(&format!("{index}-{item}"), &item)?; // waits while the queue is full
    }
    queue.end(&format!("producer {index}"))
}

/// Counts what it gets, until all producers have said the end and all is counted.
fn consumer(index: u32, queue: &Queue<u32>) -> Result<()> {
    for item in queue.iter()? {
        item?.count(&format!("consumer {index}"))?;
    }
    Ok(())
}

fn main() -> Result<()> {
    common::end_on_broken_pipe(); // `| head -1` ends this program and its processes quietly

    let cluster = Cluster::join(Options::parse())?;
    let queue = cluster.queue(100, PRODUCERS.into())?;

    let mut processes = Vec::new();
    for index in 1..=PRODUCERS {
        let name = format!("producer {index}");
        processes.push(cluster.process(&name, || producer(index, &queue))?);
    }
    for index in 1..=CONSUMERS {
        let name = format!("consumer {index}");
        processes.push(cluster.process(&name, || consumer(index, &queue))?);
    }

    // Whoever is killed meanwhile is started again: a producer puts all again, and an item that a
    // consumer had goes to another. Each counts once, by its name.
    let counted = queue.join(&mut processes)?;
    for index in 1..=CONSUMERS {
        let name = format!("consumer {index}");
        let items = counted.iter().filter(|(_, by)| *by == name).count();
        println!("{name} counted {items} items.");
    }
    println!("Together they counted {}, each once.", counted.len());
    println!("All processes finished.");
    cluster.end()
}
