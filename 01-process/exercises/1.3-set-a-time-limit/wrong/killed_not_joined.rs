// LEAK: killed is taken for gone; but until somebody waits for it, it is a zombie.

/// Waits for a picture for at most `limit`, and says what became of it.
fn finish(picture: &mut Process, limit: Duration) -> Result<&'static str> {
    match picture.join_timeout(limit)? {
        Some(status) if status.success() => Ok("ready"),
        Some(_) => Ok("spoilt"),
        None => {
            picture.kill()?;
            Ok("given up")
        }
    }
}
