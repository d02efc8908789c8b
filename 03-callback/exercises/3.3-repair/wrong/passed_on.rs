// WRONG: hands the error on, and the program fails.

/// Takes the accounts over, whatever has become of the teller, and says what they hold.
fn next_day(accounts: &Array<i64>) -> Result<i64> {
    let accounts = accounts.lock()?;
    Ok(accounts.iter().sum())
}
