// WRONG: looks again and again, without sleeping.

/// Asks for the square of a number. `None` if the answer takes longer than `LIMIT`.
fn ask(clerk: &Connection<u32, (u32, u32)>, number: u32) -> Result<Option<u32>> {
    clerk.send(&number)?;
    let end = Instant::now() + LIMIT;
    while Instant::now() < end {
        if clerk.poll(Duration::ZERO)? {
            let (asked, square) = clerk.recv()?;
            if asked == number {
                return Ok(Some(square));
            }
        }
    }
    Ok(None)
}
