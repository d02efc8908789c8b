// WRONG: flushed before the fork, and trusted to be flushed by a drop, which a borrow never gets.

fn keep(log: Log) -> Result<()> {
    let mut log = BufWriter::new(log);
    for (hour, what) in (1..).zip(DAY) {
        writeln!(log, "day {hour}: {what}")?;
    }
    log.flush()?;
    let mut night = Process::spawn("night", || -> io::Result<()> {
        for (hour, what) in (1..).zip(NIGHT) {
            writeln!(log, "night {hour}: {what}")?;
        }
        Ok(())
    })?;
    ensure!(night.join()?.success(), "there was no light at night");
    Ok(())
}
