//! Of three stages the middle one crashes, and all others wait for what cannot come.
//!
//! `read` waits for room that `change` would make, `write` for an item that `change` would put, and
//! the parent for the end of `read`. Each of them waits for a process that lives or a queue that is
//! open, so none can tell by itself. All together they can: one gets an error, the parent, and it
//! says who waits for what, where, and who is dead. In Python all of them wait for ever.
//!
//! Output: pattern, the pids are masked.

use anyhow::{Result, bail};
use common::{Process, ProcessError, Queue};

fn main() -> Result<()> {
    common::end_on_broken_pipe();
    let numbers = Queue::<u32>::with_capacity(100)?; // bytes
    let squares = Queue::with_capacity(100)?;
    let mut read = Process::spawn("read", || {
        (1..=1000).try_for_each(|number| numbers.put(&number))
    })?;
    let mut change = Process::spawn("change", || -> Result<()> {
        for number in numbers.iter().take(3) {
            squares.put(&number?.pow(2))?;
        }
        std::process::abort() // a crash
    })?;
    let mut write = Process::spawn("write", || -> Result<()> {
        for square in squares.iter() {
            println!("{}", square?);
        }
        Ok(())
    })?;

    // With `?` here, the program would end with this message, and all of its processes.
    match read.join() {
        Err(error @ ProcessError::Deadlock(_)) => println!("{error}"),
        other => bail!("nobody made room, and yet: {other:?}"),
    }

    // But the parent may as well do something about it.
    println!("change: {}", change.join()?);
    squares.close();
    println!("write, told the end: {}", write.join()?);
    read.kill()?;
    println!("read: {}", read.join()?);
    Ok(())
}
