// BUSY: asks all the time whether somebody lives.

/// Draws how far the work is, until it is done.
fn watch(done: &Value<u32>, workers: &mut [Process; 2], bar: &mut Bar<'_>) -> Result<()> {
    while workers[0].is_alive()? || workers[1].is_alive()? {
        bar.draw(*done.lock()?)?;
    }
    bar.draw(*done.lock()?)?;
    ensure!(bar.percent == 100, "a worker failed");
    Ok(())
}
