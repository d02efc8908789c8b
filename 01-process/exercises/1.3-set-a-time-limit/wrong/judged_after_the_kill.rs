// WRONG: one way out for all; who was killed has failed, so it is called spoilt.

/// Waits for a picture for at most `limit`, and says what became of it.
fn finish(picture: &mut Process, limit: Duration) -> Result<&'static str> {
    if picture.join_timeout(limit)?.is_none() {
        picture.kill()?;
    }
    let status = picture.join()?;
    Ok(if status.success() { "ready" } else { "spoilt" })
}
