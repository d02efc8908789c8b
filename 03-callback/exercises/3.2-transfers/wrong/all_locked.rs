// MISSING: locks all four accounts, in order, to be safe.

/// Moves an amount from one account to another.
fn transfer(accounts: &[Value<i64>], from: usize, to: usize, amount: i64) -> Result<()> {
    if from == to {
        return Ok(());
    }
    let guards = accounts.iter().map(Value::lock);
    let mut guards = guards.collect::<Result<Vec<_>, _>>()?;
    *guards[from] -= amount;
    *guards[to] += amount;
    Ok(())
}
