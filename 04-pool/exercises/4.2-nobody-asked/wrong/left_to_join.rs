// WRONG: leaves it to join, which fails, but names the first error only.

/// Hands all letters to two carriers. An error if one of them has not arrived.
fn post(letters: u32) -> Result<()> {
    let pool = Pool::new(2, carry)?;
    for letter in 1..=letters {
        let _unheard = pool.apply_async(&letter);
    }
    pool.join()?;
    Ok(())
}
