//! A process is killed while it holds a lock, in the middle of a change.
//!
//! Two things are broken then. The lock is held by nobody who could release it: in Python it is
//! lost for ever. Ours passes on to the next process. And the data is half changed, which no lock
//! can mend: so the next one is told, looks at the data, sets it right and says so (`recover`).
//!
//! Output: exact, since the parent waits for each step.

use anyhow::{Result, bail, ensure};
use common::{Array, LockError, Process, Queue};

const SUM: i64 = 200;

fn main() -> Result<()> {
    common::end_on_broken_pipe();
    let accounts = Array::new(&[SUM / 2, SUM / 2])?;
    let (half_way, nothing) = (Queue::new()?, Queue::<()>::new()?);

    let mut child = Process::spawn("transfer", || -> Result<()> {
        let mut accounts = accounts.lock()?;
        accounts[0] -= 10;
        half_way.put(&())?;
        nothing.get()?; // for ever: nobody puts
        accounts[1] += 10;
        Ok(())
    })?;
    half_way.get()?;
    child.kill()?;
    println!("The child ended: {}", child.join()?);

    match accounts.lock() {
        Err(error @ LockError::OwnerDied) => println!("lock: {error}"),
        Err(error) => return Err(error.into()),
        Ok(accounts) => bail!("nothing is said of the accounts {accounts:?}"),
    }
    {
        let mut accounts = accounts.recover()?;
        let missing = SUM - accounts.iter().sum::<i64>();
        println!("recover: {accounts:?}, {missing} are missing");
        accounts[0] += missing; // the transfer has not happened
    }
    let accounts = accounts.lock()?;
    ensure!(accounts.iter().sum::<i64>() == SUM, "something is missing");
    println!("lock: {accounts:?}, as if nothing had happened");
    Ok(())
}
