// WRONG: thinks of an error that the task returns, not of a panic or a death.

/// Hands all letters to two carriers. An error if one of them has not arrived.
fn post(letters: u32) -> Result<()> {
    let pool = Pool::new(2, carry)?;
    let handed: Vec<_> = (1..=letters)
        .map(|letter| pool.apply_async(&letter))
        .collect();
    let mut lost = 0;
    for (letter, outcome) in (1..).zip(handed) {
        match outcome.get() {
            Err(TaskError::Failed(reason)) => {
                report(letter, &TaskError::Failed(reason));
                lost += 1;
            }
            _ => {}
        }
    }
    pool.join()?;
    ensure!(lost == 0, "{lost} of {letters} letters have come back");
    Ok(())
}
