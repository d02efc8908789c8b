// STUCK: joins the last stage first, which waits for the dead one.

/// Starts the three stages, and waits until all is added up, or one of them has failed.
fn pipeline(aborts: bool) -> Result<()> {
    let raw = Queue::with_capacity(500)?;
    let results = Queue::with_capacity(500)?;
    let mut read = Process::spawn("read", || read(&raw))?;
    let mut change = Process::spawn("change", || change(&raw, &results, aborts))?;
    let mut write = Process::spawn("write", || write(&results))?;
    ensure!(write.join()?.success(), "write failed");
    ensure!(change.join()?.success(), "change failed");
    ensure!(read.join()?.success(), "read failed");
    Ok(())
}
