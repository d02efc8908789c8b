// WRONG: says what must be true, and does not make it so.

/// Takes the accounts over, whatever has become of the teller, and says what they hold.
fn next_day(accounts: &Array<i64>) -> Result<i64> {
    let accounts = match accounts.lock() {
        Err(LockError::OwnerDied) => accounts.recover()?,
        other => other?,
    };
    Ok(accounts.iter().sum::<i64>().min(SUM))
}
