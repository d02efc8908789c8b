//! Two box offices sell tickets, and a manager knows the next free seat.

use std::collections::BTreeSet;

use anyhow::Result;
use common::{LockProxy, Manager, Pool, Queue, ValueProxy};

/// Prints the ticket for a seat, slowly.
fn print(seat: u32, printed: &Queue<u32>) -> Result<()> {
    Ok(printed.put(&seat)?)
}

// Your part begins here.

/// Sells one ticket, for the next free seat.
fn sell(lock: &LockProxy, next: &ValueProxy<u32>, printed: &Queue<u32>) -> Result<()> {
    let seat = next.get()?;
    let guard = lock.lock()?;
    next.set(&(seat + 1))?;
    drop(guard);
    print(seat, printed)
}

// Your part ends here.

fn main() -> Result<()> {
    common::end_on_broken_pipe();
    let tickets = std::env::args().nth(1).map_or(Ok(20), |it| it.parse())?;
    let manager = Manager::start()?;
    let (lock, next) = (manager.lock()?, manager.value(1)?);
    let printed = Queue::new()?;

    let pool = Pool::new(2, |tickets: u32| -> Result<()> {
        for _ in 0..tickets {
            sell(&lock, &next, &printed)?;
        }
        println!("A box office is closed.");
        Ok(())
    })?;
    let offices = [pool.apply_async(&tickets), pool.apply_async(&tickets)];
    for office in offices {
        office.get()?;
    }
    pool.join()?;

    printed.close();
    let seats: Vec<u32> = printed.iter().collect::<Result<_, _>>()?;
    let different: BTreeSet<_> = seats.iter().collect();
    println!("Tickets: {}, for {} seats.", seats.len(), different.len());
    println!("The next seat: {}", next.get()?);
    Ok(())
}
