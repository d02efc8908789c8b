//! Two cooks put dishes on a counter, and a waiter serves them.
//!
//! An empty counter says nothing of the future. Only the parent knows when all cooks are done: it
//! has joined them. So it is the one to close the counter; what lies there is served all the same,
//! and then the waiter's loop ends.

use std::thread::sleep;
use std::time::Duration;

use anyhow::{Result, ensure};
use common::{Process, Queue};

fn cook(dishes: u32, counter: &Queue<u32>) -> Result<()> {
    for dish in 1..=dishes {
        sleep(Duration::from_millis(1)); // cooking takes its time
        counter.put(&dish)?;
    }
    Ok(())
}

// Your part begins here.

/// Serves what is on the counter, and says how much it was.
fn waiter(counter: &Queue<u32>) -> Result<()> {
    let mut served = 0;
    for dish in counter.iter() {
        dish?;
        served += 1;
    }
    println!("The waiter served {served} dishes.");
    Ok(())
}

/// Waits until all have gone home.
fn evening(cooks: &mut [Process], waiter: &mut Process, counter: &Queue<u32>) -> Result<()> {
    for cook in cooks {
        ensure!(cook.join()?.success(), "{} failed", cook.name());
    }
    counter.close(); // no cook is left who could put, and nobody else would know
    ensure!(waiter.join()?.success(), "the waiter failed");
    Ok(())
}

// Your part ends here.

fn main() -> Result<()> {
    common::end_on_broken_pipe();
    let dishes = std::env::args().nth(1).map_or(Ok(50), |it| it.parse())?;
    let counter = Queue::new()?;
    let mut cooks = Vec::new();
    for number in 1..=2 {
        let cook = || cook(dishes, &counter);
        cooks.push(Process::spawn(format!("cook {number}"), cook)?);
    }
    let mut waiter = Process::spawn("waiter", || waiter(&counter))?;
    evening(&mut cooks, &mut waiter, &counter)?;
    println!("The kitchen is closed.");
    Ok(())
}
