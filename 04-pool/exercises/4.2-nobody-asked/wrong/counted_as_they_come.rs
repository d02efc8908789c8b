// WRONG: takes the outcomes as they come, and counts them to know which letter it is.

/// Hands all letters to two carriers. An error if one of them has not arrived.
fn post(letters: u32) -> Result<()> {
    let pool = Pool::new(2, carry)?;
    let mut lost = 0;
    for outcome in pool.imap_unordered(1..=letters) {
        if let Err(error) = outcome {
            lost += 1;
            report(lost, &error);
        }
    }
    pool.join()?;
    ensure!(lost == 0, "{lost} of {letters} letters have come back");
    Ok(())
}
