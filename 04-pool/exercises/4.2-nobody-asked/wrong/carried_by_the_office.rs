// CRASH: does without the pool, so the death is that of the whole program.

/// Hands all letters to two carriers. An error if one of them has not arrived.
fn post(letters: u32) -> Result<()> {
    let mut lost = 0;
    for letter in 1..=letters {
        let carried = std::panic::catch_unwind(|| carry(letter));
        if !matches!(carried, Ok(Ok(()))) {
            report(letter, &TaskError::Failed("not delivered".to_owned()));
            lost += 1;
        }
    }
    ensure!(lost == 0, "{lost} of {letters} letters have come back");
    Ok(())
}
