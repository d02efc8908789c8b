// WRONG: asks once more after the limit, and gets two answers.

/// Asks for the square of a number. `None` if the answer takes longer than `LIMIT`.
fn ask(clerk: &Connection<u32, (u32, u32)>, number: u32) -> Result<Option<u32>> {
    clerk.send(&number)?;
    if !clerk.poll(LIMIT)? {
        clerk.send(&number)?;
        if !clerk.poll(LIMIT)? {
            return Ok(None);
        }
    }
    Ok(Some(clerk.recv()?.1))
}
