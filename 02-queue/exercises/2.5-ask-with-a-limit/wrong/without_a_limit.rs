// DEADLOCK: waits for the right answer, as long as it takes, and the clerk for the next question.

/// Asks for the square of a number. `None` if the answer takes longer than `LIMIT`.
fn ask(clerk: &Connection<u32, (u32, u32)>, number: u32) -> Result<Option<u32>> {
    clerk.send(&number)?;
    loop {
        let (asked, square) = clerk.recv()?;
        if asked == number {
            return Ok(Some(square));
        }
    }
}
