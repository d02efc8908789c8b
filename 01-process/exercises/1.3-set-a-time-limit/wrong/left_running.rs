// WRONG: given up, and forgotten to be killed; it still runs when the lab is swept.

/// Waits for a picture for at most `limit`, and says what became of it.
fn finish(picture: &mut Process, limit: Duration) -> Result<&'static str> {
    match picture.join_timeout(limit)? {
        Some(status) if status.success() => Ok("ready"),
        Some(_) => Ok("spoilt"),
        None => Ok("given up"),
    }
}
