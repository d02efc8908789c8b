// WRONG: takes the error for an answer, and the lock stays as it is.

/// Takes the accounts over, whatever has become of the teller, and says what they hold.
fn next_day(accounts: &Array<i64>) -> Result<i64> {
    match accounts.lock() {
        Ok(accounts) => Ok(accounts.iter().sum()),
        Err(_) => Ok(SUM),
    }
}
