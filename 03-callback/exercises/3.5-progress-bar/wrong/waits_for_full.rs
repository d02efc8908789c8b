// STUCK: sleeps between two looks, and never asks whether the workers live.

/// Draws how far the work is, until it is done.
fn watch(done: &Value<u32>, workers: &mut [Process; 2], bar: &mut Bar<'_>) -> Result<()> {
    while bar.percent < 100 {
        bar.draw(*done.lock()?)?;
        sleep(Duration::from_millis(20));
    }
    for worker in workers {
        ensure!(worker.join()?.success(), "{} failed", worker.name());
    }
    Ok(())
}
