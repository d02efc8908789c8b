// WRONG: flushed as soon as there is a second process, when both have the lines already.

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
    log.flush()?;
    ensure!(night.join()?.success(), "there was no light at night");
    Ok(())
}
