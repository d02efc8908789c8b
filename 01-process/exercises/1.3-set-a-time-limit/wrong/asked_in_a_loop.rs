// BUSY: `is_alive` and a clock are enough for a limit, and burn a core until it is over.

/// Waits for a picture for at most `limit`, and says what became of it.
fn finish(picture: &mut Process, limit: Duration) -> Result<&'static str> {
    let end = Instant::now() + limit;
    while picture.is_alive()? {
        if Instant::now() > end {
            picture.kill()?;
            picture.join()?;
            return Ok("given up");
        }
    }
    let status = picture.join()?;
    Ok(if status.success() { "ready" } else { "spoilt" })
}
