// WRONG: in order, but an account is locked twice if it is both.

/// Moves an amount from one account to another.
fn transfer(accounts: &[Value<i64>], from: usize, to: usize, amount: i64) -> Result<()> {
    let mut lower = accounts[from.min(to)].lock()?;
    let mut higher = accounts[from.max(to)].lock()?;
    let change = if from < to { -amount } else { amount };
    *lower += change;
    *higher -= change;
    Ok(())
}
