// WRONG: takes every error for a late answer, the clerk's death too.

/// Asks for the square of a number. `None` if the answer takes longer than `LIMIT`.
fn ask(clerk: &Connection<u32, (u32, u32)>, number: u32) -> Result<Option<u32>> {
    let _sent = clerk.send(&number);
    let end = Instant::now() + LIMIT;
    while let Ok((asked, square)) =
        clerk.recv_timeout(end.saturating_duration_since(Instant::now()))
    {
        if asked == number {
            return Ok(Some(square));
        }
    }
    Ok(None)
}
