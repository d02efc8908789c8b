// WRONG: sets at once after the get, and takes that for one step.

/// Sells one ticket, for the next free seat.
fn sell(lock: &LockProxy, next: &ValueProxy<u32>, printed: &Queue<u32>) -> Result<()> {
    let seat = next.get()?;
    next.set(&(seat + 1))?;
    print(seat, printed)
}
