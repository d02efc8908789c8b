// MISSING: waits for each letter before it hands in the next, so one carrier would do.

/// Hands all letters to two carriers. An error if one of them has not arrived.
fn post(letters: u32) -> Result<()> {
    let pool = Pool::new(2, carry)?;
    let mut lost = 0;
    for letter in 1..=letters {
        if let Err(error) = pool.apply(&letter) {
            report(letter, &error);
            lost += 1;
        }
    }
    pool.join()?;
    ensure!(lost == 0, "{lost} of {letters} letters have come back");
    Ok(())
}
