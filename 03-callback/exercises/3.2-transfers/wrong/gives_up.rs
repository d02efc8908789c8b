// WRONG: waits for a while, and then leaves the transfer out without a word.

/// Moves an amount from one account to another.
fn transfer(accounts: &[Value<i64>], from: usize, to: usize, amount: i64) -> Result<()> {
    if from == to {
        return Ok(());
    }
    let mut source = accounts[from].lock()?;
    let limit = std::time::Duration::from_millis(50);
    if let Ok(mut target) = accounts[to].lock_timeout(limit) {
        *source -= amount;
        *target += amount;
    }
    Ok(())
}
