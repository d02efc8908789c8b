// WRONG: without a buffer nothing is there twice, and each word is a write of its own.

fn keep(log: Log) -> Result<()> {
    let mut log = log;
    for (hour, what) in (1..).zip(DAY) {
        writeln!(log, "day {hour}: {what}")?;
    }
    let mut night = Process::spawn("night", || -> io::Result<()> {
        for (hour, what) in (1..).zip(NIGHT) {
            writeln!(log, "night {hour}: {what}")?;
        }
        Ok(())
    })?;
    ensure!(night.join()?.success(), "there was no light at night");
    Ok(())
}
