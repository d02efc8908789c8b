//! A shop that hangs: its clerk serves the first order, and then nobody goes on.

use std::time::Duration;

use common::{GetError, Process, Queue, Value};

const AN_HOUR: Duration = Duration::from_secs(3600);

fn main() -> anyhow::Result<()> {
    let till = Value::new(0_u32)?;
    let (orders, meals) = (Queue::<u32>::new()?, Queue::<u32>::new()?);
    let closing = Queue::<()>::new()?;

    let mut clerk = Process::spawn("clerk", || -> anyhow::Result<()> {
        let mut takings = till.lock()?;
        for order in orders.iter() {
            *takings += 9;
            meals.put(&order?)?;
        }
        Ok(())
    })?;
    let mut guest = Process::spawn("guest", || -> anyhow::Result<()> {
        for order in 1..=3 {
            orders.put(&order)?;
            println!("The guest eats meal {}.", meals.get()?);
            *till.lock()? += 1; // a tip
        }
        Ok(())
    })?;
    let mut shutter = Process::spawn("shutter", || match closing.get_timeout(AN_HOUR) {
        Err(GetError::Empty) => Ok(()), // comes down by itself
        closed => closed,
    })?;

    guest.join()?;
    orders.close();
    clerk.join()?;
    closing.put(&())?;
    shutter.join()?;
    println!("The shop has taken {} coins.", *till.lock()?);
    Ok(())
}
