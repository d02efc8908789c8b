// WRONG: whoever takes longer than two seconds is dead.

/// Starts the three stages, and waits until all is added up, or one of them has failed.
fn pipeline(aborts: bool) -> Result<()> {
    let raw = Queue::with_capacity(500)?;
    let results = Queue::with_capacity(500)?;
    let mut read = Process::spawn("read", || read(&raw))?;
    let mut change = Process::spawn("change", || change(&raw, &results, aborts))?;
    let mut write = Process::spawn("write", || write(&results))?;
    let limit = std::time::Duration::from_secs(2);
    let status = read.join_timeout(limit)?.context("change is dead")?;
    ensure!(status.success(), "read failed");
    raw.close();
    let status = change.join_timeout(limit)?.context("change is dead")?;
    ensure!(status.success(), "change failed");
    results.close();
    ensure!(write.join()?.success(), "write failed");
    Ok(())
}
