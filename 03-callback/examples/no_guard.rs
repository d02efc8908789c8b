//! A guard that is bound to `_` is dropped at once, and with it the lock.
//!
//! `let _ = lock.lock()?` looks like `let _guard = lock.lock()?`, and locks nothing: `_` is no
//! variable, it throws away. `let_underscore_drop` is the lint that tells; rustc does not have it on
//! by itself, and this workspace does.
//!
//! Output: exact, since one process looks while the other one is where the lock should be.

#![expect(let_underscore_drop, reason = "it is the mistake that this shows")]

use anyhow::{Result, ensure};
use common::{Lock, LockError, Process, pipe};

type Inside<'a> = &'a dyn Fn() -> Result<()>;

fn thrown_away(lock: &Lock, inside: Inside<'_>) -> Result<()> {
    let _ = lock.lock()?; // it is free again here
    inside()
}

fn kept(lock: &Lock, inside: Inside<'_>) -> Result<()> {
    let _guard = lock.lock()?; // held to the end of the function
    inside()
}

/// Whether a process that works in this way has the lock while it is inside.
fn is_locked(work: fn(&Lock, Inside<'_>) -> Result<()>) -> Result<bool> {
    let lock = &Lock::new()?;
    let (here, there) = pipe::<(), ()>()?;
    let mut child = Process::spawn("child", move || {
        work(lock, &|| Ok(there.send(&()).and_then(|()| there.recv())?))
    })?;
    here.recv()?; // it is inside
    let is_locked = matches!(lock.try_lock(), Err(LockError::TimedOut));
    here.send(&())?;
    ensure!(child.join()?.success(), "the child failed");
    Ok(is_locked)
}

fn main() -> Result<()> {
    common::end_on_broken_pipe();
    println!(
        "let _ = lock.lock()?       locked: {}",
        is_locked(thrown_away)?
    );
    println!("let _guard = lock.lock()?  locked: {}", is_locked(kept)?);
    Ok(())
}
