// WRONG: `move` gives the log to the child; so the parent drops its copy, and a drop flushes, too.

fn keep(log: Log) -> Result<()> {
    let mut log = BufWriter::new(log);
    for (hour, what) in (1..).zip(DAY) {
        writeln!(log, "day {hour}: {what}")?;
    }
    let mut night = Process::spawn("night", move || -> io::Result<()> {
        for (hour, what) in (1..).zip(NIGHT) {
            writeln!(log, "night {hour}: {what}")?;
        }
        log.flush()
    })?;
    ensure!(night.join()?.success(), "there was no light at night");
    Ok(())
}
