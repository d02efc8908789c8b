// WRONG: the last look is before the last worker has ended.

/// Draws how far the work is, until it is done.
fn watch(done: &Value<u32>, workers: &mut [Process; 2], bar: &mut Bar<'_>) -> Result<()> {
    for worker in workers {
        while worker.join_timeout(Duration::from_millis(100))?.is_none() {
            bar.draw(*done.lock()?)?;
        }
    }
    Ok(())
}
