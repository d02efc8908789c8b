//! A lighthouse and its log: one keeper by day and one at night, each a process.
//!
//! Each collects lines in a buffer, and goes to the log once.

use std::io::{self, BufWriter, PipeWriter, Read, Write, pipe};

use anyhow::{Result, ensure};
use common::Process;

/// Puts a mark behind each write, so that they can be counted.
struct Log(PipeWriter);

impl Write for Log {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.0.write_all(&[text, b"|"].concat())?;
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

const DAY: [&str; 3] = ["all quiet", "a ship", "all quiet"];
const NIGHT: [&str; 3] = ["fog", "the horn sounds", "fog"];

// Your part begins here.

fn keep(log: Log) -> Result<()> {
    let mut log = BufWriter::new(log);
    for (hour, what) in (1..).zip(DAY) {
        writeln!(log, "day {hour}: {what}")?;
    }
    let mut night = Process::spawn("night", || -> io::Result<()> {
        for (hour, what) in (1..).zip(NIGHT) {
            writeln!(log, "night {hour}: {what}")?;
        }
        log.flush()
    })?;
    ensure!(night.join()?.success(), "there was no light at night");
    log.flush()?;
    Ok(())
}

// Your part ends here.

fn main() -> Result<()> {
    common::end_on_broken_pipe();
    let (mut reader, writer) = pipe()?;
    keep(Log(writer))?;
    let mut arrived = String::new();
    reader.read_to_string(&mut arrived)?;
    let writes = arrived.matches('|').count();
    let lines = arrived.replace('|', "");
    print!("{lines}");
    println!("{} lines in {writes} writes", lines.lines().count());
    Ok(())
}
