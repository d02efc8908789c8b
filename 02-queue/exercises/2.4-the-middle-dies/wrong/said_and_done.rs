// WRONG: says what has happened, and ends well.

/// Starts the three stages, and waits until all is added up, or one of them has failed.
fn pipeline(aborts: bool) -> Result<()> {
    let raw = Queue::with_capacity(500)?;
    let results = Queue::with_capacity(500)?;
    let done = common::scope(|scope| -> Result<()> {
        let read = scope.spawn("read", || read(&raw))?;
        let change = scope.spawn("change", || change(&raw, &results, aborts))?;
        scope.spawn("write", || write(&results))?;
        read.join()?;
        raw.close();
        change.join()?;
        results.close();
        Ok(())
    });
    if let Err(error) = done {
        eprintln!("{error}");
    }
    Ok(())
}
