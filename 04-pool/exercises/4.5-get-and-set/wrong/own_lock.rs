// WRONG: makes a lock for each sale, which is nobody else's.

/// Sells one ticket, for the next free seat.
fn sell(lock: &LockProxy, next: &ValueProxy<u32>, printed: &Queue<u32>) -> Result<()> {
    let own = common::Lock::new()?;
    let guard = own.lock()?;
    let seat = next.get()?;
    next.set(&(seat + 1))?;
    drop(guard);
    lock.lock()?;
    print(seat, printed)
}
