// CRASH: the time is never over when one tries it with quick pictures, so the `None` is unwrapped.

/// Waits for a picture for at most `limit`, and says what became of it.
fn finish(picture: &mut Process, limit: Duration) -> Result<&'static str> {
    let status = picture.join_timeout(limit)?.unwrap();
    Ok(if status.success() { "ready" } else { "spoilt" })
}
