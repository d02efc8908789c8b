//! A teller may be killed in the middle of a transfer, and the next one takes over.
//!
//! The lock passes on by itself, and `OwnerDied` says that the data may be half changed. What is right
//! is known without the dead one: together the accounts hold `SUM`. So the difference is what the half
//! transfer has done, and the left account undoes it or completes it.

use anyhow::Result;
#[allow(unused_imports)] // you may need it
use common::{Array, LockError, Process, Queue};

const SUM: i64 = 200;

fn teller(accounts: &Array<i64>, diary: &Queue<String>) -> Result<()> {
    {
        let mut accounts = accounts.lock()?;
        accounts[0] -= 10;
        diary.put(&"taken from the left".to_owned())?;
        accounts[1] += 10;
    }
    let mut accounts = accounts.lock()?;
    accounts[0] += 10;
    diary.put(&"given to the left".to_owned())?;
    accounts[1] -= 10;
    Ok(())
}

// Your part begins here.

/// Takes the accounts over, whatever has become of the teller, and says what they hold.
fn next_day(accounts: &Array<i64>) -> Result<i64> {
    let mut accounts = match accounts.lock() {
        Err(LockError::OwnerDied) => accounts.recover()?,
        other => other?,
    };
    let missing = SUM - accounts.iter().sum::<i64>();
    accounts[0] += missing; // less than nothing, if there was too much
    Ok(accounts.iter().sum())
}

// Your part ends here.

fn main() -> Result<()> {
    common::end_on_broken_pipe();
    let accounts = Array::new(&[SUM / 2, SUM / 2])?;
    let diary = Queue::new()?;
    let mut teller = Process::spawn("teller", || teller(&accounts, &diary))?;
    println!("The teller: {}", teller.join()?);
    println!("The accounts hold {}.", next_day(&accounts)?);
    println!("Of them, {} on the left.", accounts.lock()?[0]);
    Ok(())
}
