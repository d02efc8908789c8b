// WRONG: ends when anybody has failed, and does not say who.

/// Starts the three stages, and waits until all is added up, or one of them has failed.
fn pipeline(aborts: bool) -> Result<()> {
    let raw = Queue::with_capacity(500)?;
    let results = Queue::with_capacity(500)?;
    let mut read = Process::spawn("read", || read(&raw))?;
    let mut change = Process::spawn("change", || change(&raw, &results, aborts))?;
    let mut write = Process::spawn("write", || write(&results))?;
    while let Some((_, status)) = Process::join_any([&mut read, &mut change, &mut write])? {
        ensure!(status.success(), "somebody failed");
        match read.is_alive()? {
            true => {}
            false if !change.is_alive()? => results.close(),
            false => raw.close(),
        }
    }
    Ok(())
}
