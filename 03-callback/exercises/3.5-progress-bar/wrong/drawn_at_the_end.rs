// MISSING: joins the workers, and then draws.

/// Draws how far the work is, until it is done.
fn watch(done: &Value<u32>, workers: &mut [Process; 2], bar: &mut Bar<'_>) -> Result<()> {
    for worker in workers {
        ensure!(worker.join()?.success(), "{} failed", worker.name());
    }
    bar.draw(*done.lock()?)?;
    Ok(())
}
