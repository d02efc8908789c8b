// WRONG: looks whether the number has changed, and lets go of the lock before it writes.

/// Sells one ticket, for the next free seat.
fn sell(lock: &LockProxy, next: &ValueProxy<u32>, printed: &Queue<u32>) -> Result<()> {
    loop {
        let seat = next.get()?;
        let is_unchanged = {
            let _guard = lock.lock()?;
            next.get()? == seat
        };
        if is_unchanged {
            next.set(&(seat + 1))?;
            return print(seat, printed);
        }
    }
}
