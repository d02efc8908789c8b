// WRONG: returns at the first letter that is lost, and names no other.

/// Hands all letters to two carriers. An error if one of them has not arrived.
fn post(letters: u32) -> Result<()> {
    let pool = Pool::new(2, carry)?;
    let handed: Vec<_> = (1..=letters)
        .map(|letter| pool.apply_async(&letter))
        .collect();
    for (letter, outcome) in (1..).zip(handed) {
        if let Err(error) = outcome.get() {
            report(letter, &error);
            return Err(error.into());
        }
    }
    pool.join()?;
    Ok(())
}
