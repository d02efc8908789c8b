// WRONG: takes the lock for the get, and once more for the set.

/// Sells one ticket, for the next free seat.
fn sell(lock: &LockProxy, next: &ValueProxy<u32>, printed: &Queue<u32>) -> Result<()> {
    let guard = lock.lock()?;
    let seat = next.get()?;
    drop(guard);
    let guard = lock.lock()?;
    next.set(&(seat + 1))?;
    drop(guard);
    print(seat, printed)
}
