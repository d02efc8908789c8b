//! A teller may be killed in the middle of a transfer, and the next one takes over.

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
    let accounts = accounts.recover()?;
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
