// WRONG: throws the guard away in the line that makes it.

/// Sells one ticket, for the next free seat.
fn sell(lock: &LockProxy, next: &ValueProxy<u32>, printed: &Queue<u32>) -> Result<()> {
    let _ = lock.lock()?;
    let seat = next.get()?;
    next.set(&(seat + 1))?;
    print(seat, printed)
}
