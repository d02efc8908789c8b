// MISSING: keeps the lock to the end of the function, and prints meanwhile.

/// Sells one ticket, for the next free seat.
fn sell(lock: &LockProxy, next: &ValueProxy<u32>, printed: &Queue<u32>) -> Result<()> {
    let _guard = lock.lock()?;
    let seat = next.get()?;
    next.set(&(seat + 1))?;
    print(seat, printed)
}
