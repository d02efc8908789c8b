// BUSY: tries the second lock, and begins anew at once if it is taken.

/// Moves an amount from one account to another.
fn transfer(accounts: &[Value<i64>], from: usize, to: usize, amount: i64) -> Result<()> {
    if from == to {
        return Ok(());
    }
    loop {
        let mut source = accounts[from].lock()?;
        if let Ok(mut target) = accounts[to].try_lock() {
            *source -= amount;
            *target += amount;
            return Ok(());
        }
    }
    Ok(())
}
