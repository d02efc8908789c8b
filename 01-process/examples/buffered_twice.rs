//! Text in a buffer at the moment of a fork is written twice.
//!
//! A fork copies the memory, and the buffer of a writer lies there. So the child has the text as
//! well, and both write it. `Process::spawn` flushes standard output before it forks, as Python's
//! `Process` does, and cannot know of other writers: flush them. `os.fork` flushes nothing.
//!
//! Output: exact, since the child has ended before its parent writes.

use std::io::{BufWriter, Read, Result, Write, pipe};

use anyhow::ensure;
use common::Process;

/// What arrives when a parent writes a line and forks, and its child writes another line.
fn log(flush_before_the_fork: bool) -> anyhow::Result<String> {
    let (mut reader, writer) = pipe()?;
    let mut writer = BufWriter::new(writer);
    writeln!(writer, "  parent: written once")?;
    if flush_before_the_fork {
        writer.flush()?;
    }
    let mut child = Process::spawn("child", || -> Result<()> {
        writeln!(writer, "  child: written once")?;
        writer.flush()
    })?;
    ensure!(child.join()?.success(), "the child failed");
    drop(writer); // writes what is in the parent's buffer

    let mut arrived = String::new();
    reader.read_to_string(&mut arrived)?;
    Ok(arrived)
}

fn main() -> anyhow::Result<()> {
    common::end_on_broken_pipe();
    print!("Not flushed before the fork:\n{}", log(false)?);
    print!("Flushed before the fork:\n{}", log(true)?);
    Ok(())
}
