// WRONG: drops the pool without a join, so what is under way ends with it, in silence.

/// Hands all letters to two carriers. An error if one of them has not arrived.
fn post(letters: u32) -> Result<()> {
    let pool = Pool::new(2, carry)?;
    for letter in 1..=letters {
        pool.apply_async(&letter)
            .error_callback(move |error| report(letter, error));
    }
    Ok(())
}
