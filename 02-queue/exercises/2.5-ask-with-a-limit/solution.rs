//! Questions to a clerk who is slow at times.
//!
//! A pipe keeps the order, and knows nothing of questions. So an answer has to say which question
//! it belongs to, and who asks looks at that. The limit is for the question, not for each look:
//! what an old answer has taken of it is gone.

use std::time::{Duration, Instant};

use anyhow::Result;
#[allow(unused_imports)]
use common::{Connection, PipeError, Process, pipe};

const LIMIT: Duration = Duration::from_millis(1500);

/// What is left of the limit for a question that was asked then.
#[allow(dead_code)] // you may need it
fn left(since: Instant) -> Duration {
    LIMIT.saturating_sub(since.elapsed())
}

/// Answers with the number and its square. The slow one takes until the next question is there.
fn clerk(hall: &Connection<(u32, u32), u32>, slow: u32) -> Result<()> {
    loop {
        let number = match hall.recv() {
            Ok(number) => number,
            Err(PipeError::Closed) => return Ok(()), // nobody asks any more
            Err(error) => return Err(error.into()),
        };
        let next = (number == slow).then(|| hall.recv()).transpose()?;
        for it in [number].into_iter().chain(next) {
            hall.send(&(it, it.pow(2)))?;
        }
    }
}

// Your part begins here.

/// Asks for the square of a number. `None` if the answer takes longer than `LIMIT`.
fn ask(clerk: &Connection<u32, (u32, u32)>, number: u32) -> Result<Option<u32>> {
    clerk.send(&number)?;
    let start = Instant::now();
    while clerk.poll(left(start))? {
        let (asked, square) = clerk.recv()?;
        if asked == number {
            return Ok(Some(square));
        } // else it comes too late, and nobody waits for it any more
    }
    Ok(None)
}

// Your part ends here.

fn main() -> Result<()> {
    common::end_on_broken_pipe();
    let slow = std::env::args().nth(1).map_or(Ok(2), |it| it.parse())?;
    let (here, there) = pipe()?;
    let mut child = Process::spawn("clerk", move || clerk(&there, slow))?;
    for number in 1..=4 {
        match ask(&here, number)? {
            Some(square) => println!("answer to {number}: {square}"),
            None => println!("no answer to {number}"),
        }
    }
    drop(here); // so the clerk ends
    child.join()?;
    Ok(())
}
