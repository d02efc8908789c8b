// MISSING: the guard lives while the bar is drawn, and the workers wait for it.

/// Draws how far the work is, until it is done.
fn watch(done: &Value<u32>, workers: &mut [Process; 2], bar: &mut Bar<'_>) -> Result<()> {
    for worker in workers {
        let status = loop {
            bar.draw(*done.lock()?)?;
            if let Some(status) = worker.join_timeout(Duration::from_millis(100))? {
                break status;
            }
        };
        ensure!(status.success(), "{} failed", worker.name());
    }
    bar.draw(*done.lock()?)
}
