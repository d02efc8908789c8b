// DEADLOCK: the other way round, which is two orders again.

/// Moves an amount from one account to another.
fn transfer(accounts: &[Value<i64>], from: usize, to: usize, amount: i64) -> Result<()> {
    let mut target = accounts[to].lock()?;
    let mut source = accounts[from].lock()?;
    *source -= amount;
    *target += amount;
    Ok(())
}
