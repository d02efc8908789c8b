//! A queue that is made after the fork is another queue.
//!
//! The child and the parent each make one, in the same line of the program, and each has its own:
//! what the one puts, the other never gets. Nothing fails. What processes share is made before the
//! fork, by their common parent, and the closures borrow it.
//!
//! Output: exact.

use std::time::Duration;

use anyhow::{Result, ensure};
use common::{GetError, Process, Queue};

const A_WHILE: Duration = Duration::from_millis(100);

fn open_the_mailbox() -> Result<Queue<String>> {
    Ok(Queue::new()?)
}

fn main() -> Result<()> {
    common::end_on_broken_pipe();
    let letter = "Dear parent".to_owned();
    let mut child = Process::spawn("child", || -> Result<()> {
        open_the_mailbox()?.put(&letter)?; // a mailbox that nobody else has
        Ok(())
    })?;
    ensure!(child.join()?.success(), "the child failed");
    match open_the_mailbox()?.get_timeout(A_WHILE) {
        Err(GetError::Empty) => println!("Made after the fork: no letter."),
        other => println!("Made after the fork: {:?}.", other?),
    }

    let mailbox = open_the_mailbox()?;
    let mut child = Process::spawn("child", || mailbox.put(&letter))?;
    ensure!(child.join()?.success(), "the child failed");
    println!("Made before the fork: {:?}.", mailbox.get()?);
    Ok(())
}
