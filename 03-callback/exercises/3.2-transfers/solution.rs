//! Three tellers move money between four accounts, and an auditor adds it up.
//!
//! All take the account with the lower number first, as the auditor does. Whoever has the highest
//! account that is taken never waits for another one, so somebody can always go on. And both guards
//! live until both accounts are right.

use anyhow::{Result, ensure};
use common::{Process, Value};

const TRANSFERS: usize = 10;

// Your part begins here.

/// Moves an amount from one account to another.
fn transfer(accounts: &[Value<i64>], from: usize, to: usize, amount: i64) -> Result<()> {
    if from == to {
        return Ok(()); // and its lock cannot be taken twice
    }
    let mut lower = accounts[from.min(to)].lock()?;
    let mut higher = accounts[from.max(to)].lock()?;
    let change = if from < to { -amount } else { amount };
    *lower += change;
    *higher -= change;
    Ok(())
}

// Your part ends here.

fn teller(accounts: &[Value<i64>], from: usize, to: usize) -> Result<()> {
    for _ in 0..TRANSFERS {
        transfer(accounts, from, to, 10)?;
    }
    Ok(())
}

fn auditor(accounts: &[Value<i64>]) -> Result<()> {
    for _ in 0..TRANSFERS {
        let guards = accounts.iter().map(|it| it.lock());
        let guards = guards.collect::<Result<Vec<_>, _>>()?;
        let sum: i64 = guards.iter().map(|it| **it).sum();
        ensure!(sum == 400, "an audit found {sum}");
    }
    println!("Every audit found 400.");
    Ok(())
}

fn main() -> Result<()> {
    common::end_on_broken_pipe();
    let to_itself = std::env::args().any(|it| it == "self");
    let account_0 = Value::new(100)?;
    let account_1 = Value::new(100)?;
    let account_2 = Value::new(100)?;
    let account_3 = Value::new(100)?;
    let accounts = &[account_0, account_1, account_2, account_3];
    let target = if to_itself { 2 } else { 3 };
    let mut all = [
        Process::spawn("teller 1", || teller(accounts, 0, 1))?,
        Process::spawn("teller 2", || teller(accounts, 1, 0))?,
        Process::spawn("teller 3", || teller(accounts, 2, target))?,
        Process::spawn("auditor", || auditor(accounts))?,
    ];
    for process in &mut all {
        ensure!(process.join()?.success(), "{} failed", process.name());
    }
    let balances = accounts.iter().map(|it| Ok(*it.lock()?));
    let balances = balances.collect::<Result<Vec<i64>>>()?;
    println!("The accounts hold {balances:?}.");
    Ok(())
}
