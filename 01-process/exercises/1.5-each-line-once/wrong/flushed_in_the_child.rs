// WRONG: the child flushes first, so that its buffer is empty: it writes the lines of its parent.

fn keep(log: Log) -> Result<()> {
    let mut log = BufWriter::new(log);
    for (hour, what) in (1..).zip(DAY) {
        writeln!(log, "day {hour}: {what}")?;
    }
    let mut night = Process::spawn("night", || -> io::Result<()> {
        log.flush()?;
        for (hour, what) in (1..).zip(NIGHT) {
            writeln!(log, "night {hour}: {what}")?;
        }
        log.flush()
    })?;
    ensure!(night.join()?.success(), "there was no light at night");
    log.flush()?;
    Ok(())
}
