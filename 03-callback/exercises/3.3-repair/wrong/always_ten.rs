// WRONG: who has died has taken 10, so 10 are put back.

/// Takes the accounts over, whatever has become of the teller, and says what they hold.
fn next_day(accounts: &Array<i64>) -> Result<i64> {
    match accounts.lock() {
        Err(LockError::OwnerDied) => {
            let mut accounts = accounts.recover()?;
            accounts[0] += 10;
            Ok(accounts.iter().sum())
        }
        other => Ok(other?.iter().sum()),
    }
}
