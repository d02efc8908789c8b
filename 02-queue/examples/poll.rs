//! Who asks over a pipe may look whether the answer has come, and do something else meanwhile.
//!
//! `poll` waits for at most so long, and says whether there is something to receive. It takes
//! nothing, so the answer that comes later is the answer to the old question: who gives up and asks
//! once more will get that one first.
//!
//! Output: exact, since the one who answers waits to be told.

use std::time::Duration;

use anyhow::{Result, ensure};
use common::{Process, Queue, pipe};

fn main() -> Result<()> {
    common::end_on_broken_pipe();
    let go_on = &Queue::new()?;
    let (here, there) = pipe::<u32, u32>()?;
    let mut child = Process::spawn("squares", move || -> Result<()> {
        let question = there.recv()?;
        go_on.get()?; // a question that takes its time
        there.send(&question.pow(2))?;
        Ok(())
    })?;

    here.send(&12)?;
    println!("An answer: {}", here.poll(Duration::from_millis(100))?);
    go_on.put(&())?;
    println!("An answer: {}", here.poll(Duration::from_secs(60))?);
    println!("12 * 12 = {}", here.recv()?);
    ensure!(child.join()?.success(), "the child failed");
    Ok(())
}
