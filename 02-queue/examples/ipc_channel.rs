//! The chapter's work on a plain channel of the crate ipc-channel.
//!
//! What it gives: messages of any serde type, channel ends among them; and the kernel says when
//! the last sender is gone, however it went.
//!
//! What it lacks:
//! - There is one receiver. Two consumers cannot share it, so here the parent consumes alone.
//! - The end comes when every copy of the sender is closed, and a fork copies all that is open:
//!   a process that never sends anything can keep the channel alive.
//!
//! Output: exact.

use std::sync::Arc;

use anyhow::{Result, bail, ensure};
use common::{Process, Queue, Value};
use ipc_channel::TryRecvError;
use ipc_channel::ipc::{self, IpcSender};

const ITEMS_PER_PRODUCER: u32 = 1000;

fn producer(counter: &Value<u32>, sender: IpcSender<u32>) -> Result<()> {
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
