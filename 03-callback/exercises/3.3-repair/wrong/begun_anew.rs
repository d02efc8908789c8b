// WRONG: gives both accounts what they had in the beginning.

/// Takes the accounts over, whatever has become of the teller, and says what they hold.
fn next_day(accounts: &Array<i64>) -> Result<i64> {
    if let Err(LockError::OwnerDied) = accounts.lock() {
        let mut accounts = accounts.recover()?;
        (accounts[0], accounts[1]) = (SUM / 2, SUM / 2);
    }
    Ok(accounts.lock()?.iter().sum())
}
