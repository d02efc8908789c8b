//! Two processes that take two locks in opposite order wait for each other.
//!
//! Each holds the lock that the other one waits for: a deadlock. A limit shows it, and undoes it:
//! whose time is over lets go of what it holds, and can try again. (Without one, see `deadlock`.)
//! The cure is one order for all: here, the left account is locked before the right one. In Python
//! both are the same.
//!
//! Output: any order, but for the last line.

use std::time::Duration;

use anyhow::{Result, ensure};
use common::{Connection, PipeError, Process, Value, pipe};

type Account = Value<i64>;
type Other = Connection<(), ()>;

/// Waits until the other process is here, too.
fn meet(other: &Other) -> Result<(), PipeError> {
    other.send(&())?;
    other.recv()
}

fn opposite_order(name: &str, to: &Account, from: &Account, other: &Other) -> Result<()> {
    let mut to = to.lock()?;
    meet(other)?; // in real life, this is chance
    let from = from.lock_timeout(Duration::from_millis(100));
    meet(other)?; // nobody lets go before both have tried
    match from {
        Ok(mut from) => (*to, *from) = (*to + 10, *from - 10),
        Err(error) => println!("opposite order, to the {name}: {error}"),
    }
    Ok(())
}

fn same_order(name: &str, amount: i64, left: &Account, right: &Account) -> Result<()> {
    let (mut left, mut right) = (left.lock()?, right.lock()?);
    (*left, *right) = (*left + amount, *right - amount);
    println!("same order, to the {name}: done");
    Ok(())
}

fn main() -> Result<()> {
    common::end_on_broken_pipe();
    let (left, right) = (&Value::new(100)?, &Value::new(100)?);

    let (a, b) = pipe()?;
    let mut one = Process::spawn("one", move || opposite_order("left", left, right, &a))?;
    let mut two = Process::spawn("two", move || opposite_order("right", right, left, &b))?;
    ensure!(one.join()?.success() && two.join()?.success(), "failed");

    let mut one = Process::spawn("one", || same_order("left", 30, left, right))?;
    let mut two = Process::spawn("two", || same_order("right", -10, left, right))?;
    ensure!(one.join()?.success() && two.join()?.success(), "failed");

    println!("left: {}, right: {}", left.lock()?, right.lock()?);
    Ok(())
}
