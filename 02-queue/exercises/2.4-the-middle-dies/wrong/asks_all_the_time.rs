// BUSY: asks each of them all the time whether it lives.

/// Starts the three stages, and waits until all is added up, or one of them has failed.
fn pipeline(aborts: bool) -> Result<()> {
    let raw = Queue::with_capacity(500)?;
    let results = Queue::with_capacity(500)?;
    let mut read = Process::spawn("read", || read(&raw))?;
    let mut change = Process::spawn("change", || change(&raw, &results, aborts))?;
    let mut write = Process::spawn("write", || write(&results))?;
    while read.is_alive()? {
        ensure!(change.is_alive()?, "change is dead");
    }
    raw.close();
    ensure!(change.join()?.success(), "change failed");
    results.close();
    ensure!(write.join()?.success(), "write failed");
    Ok(())
}
