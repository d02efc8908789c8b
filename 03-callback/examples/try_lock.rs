//! Who does not want to wait for a lock tries it, or waits for a limited time.
//!
//! `try_lock` comes back at once. `lock_timeout` sleeps for at most so long; to try again and again
//! in a loop burns a core meanwhile. Both say `TimedOut` while another process has the lock, which is
//! no failure, and other errors that are.
//!
//! Output: exact, since the child has the lock until it is told to let go.

use std::time::Duration;

use anyhow::{Result, ensure};
use common::{Guard, Lock, LockError, Process, pipe};

fn say(how: &str, guard: Result<Guard<'_>, LockError>) -> Result<(), LockError> {
    match guard {
        Ok(_guard) => println!("{how}: mine, to the end of this line"),
        Err(LockError::TimedOut) => println!("{how}: another has it"),
        Err(error) => return Err(error),
    }
    Ok(())
}

fn main() -> Result<()> {
    common::end_on_broken_pipe();
    let lock = &Lock::new()?;
    let (here, there) = pipe::<(), ()>()?;
    let mut child = Process::spawn("child", move || -> Result<()> {
        let _guard = lock.lock()?;
        there.send(&())?; // it has the lock
        there.recv()?; // and keeps it until it is told
        Ok(())
    })?;
    here.recv()?;
    say("try_lock", lock.try_lock())?;
    say("lock_timeout", lock.lock_timeout(Duration::from_millis(50)))?;
    here.send(&())?;
    ensure!(child.join()?.success(), "the child failed");
    say("try_lock, after its end", lock.try_lock())?;
    Ok(())
}
