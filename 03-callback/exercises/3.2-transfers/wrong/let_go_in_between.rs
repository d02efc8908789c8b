// WRONG: gives one account back before it takes the other one.

/// Moves an amount from one account to another.
fn transfer(accounts: &[Value<i64>], from: usize, to: usize, amount: i64) -> Result<()> {
    *accounts[from].lock()? -= amount;
    *accounts[to].lock()? += amount;
    Ok(())
}
