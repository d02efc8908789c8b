//! The chapter's work on a plain channel of the crate ipc-channel.
//!
//! What it gives: messages of any serde type, ends of other channels among them; and the kernel
//! notices when the last sender is closed or has died.
//!
//! What it lacks:
//! - There is one receiver: it cannot be cloned, and sending it to a process moves it there. So
//!   one process consumes, here the parent.
//! - The end comes when every copy of the sender is closed, and a fork copies whatever is open: a
//!   child that knows nothing of the channel keeps it from ending.
//!
//! Output: exact.

use std::time::Duration;

use anyhow::{Result, ensure};
use common::{Process, Queue, Value};
use ipc_channel::ipc::{self, IpcSender};

const ITEMS_PER_PRODUCER: u32 = 1000;

fn producer(counter: &Value<u32>, sender: &IpcSender<u32>) -> Result<()> {
    for _ in 0..ITEMS_PER_PRODUCER {
        let item = {
            let mut counter = counter.lock()?;
            *counter += 1;
            *counter
        };
        sender.send(item)?;
    }
    Ok(())
}

fn main() -> Result<()> {
    common::end_on_broken_pipe();
    let counter = Value::new(0)?;
    let (sender, receiver) = ipc::channel()?;

    let mut producers = Vec::new();
    for index in 1..=2 {
        let (counter, sender) = (&counter, sender.clone());
        let produce = move || producer(counter, &sender);
        producers.push(Process::spawn(format!("producer {index}"), produce)?);
    }
    let work_day = Queue::<()>::new()?;
    let mut bystander = Process::spawn("bystander", || work_day.iter().for_each(drop))?;
    drop(sender); // the parent's copy

    let mut items = Vec::new();
    for _ in 0..2 * ITEMS_PER_PRODUCER {
        // Not `recv`: if a producer died, the bystander would keep it waiting for ever.
        items.push(receiver.try_recv_timeout(Duration::from_secs(10))?);
    }
    for process in &mut producers {
        ensure!(process.join()?.success(), "{} failed", process.name());
    }
    items.sort_unstable();
    let each_once = items.iter().copied().eq(1..=*counter.lock()?);
    println!(
        "The consumer got {} items, each once: {each_once}",
        items.len()
    );

    println!("All producers have ended:");
    if let Err(error) = receiver.try_recv() {
        println!("  {error} Not the end: the bystander has a copy of the sender.");
    }
    work_day.close();
    ensure!(bystander.join()?.success(), "the bystander failed");
    println!("The bystander has ended, too:");
    if let Err(error) = receiver.recv() {
        println!("  {error} The end.");
    }
    Ok(())
}
