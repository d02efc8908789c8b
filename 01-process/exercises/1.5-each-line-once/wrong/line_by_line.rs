// WRONG: a buffer that is emptied at each line is right, and is none.

fn keep(log: Log) -> Result<()> {
    let mut log = std::io::LineWriter::new(log);
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
    Ok(())
}
