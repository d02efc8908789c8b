//! Three stages with a queue between each two, and the middle one dies.
//!
//! Left alone, the first then waits for room, the last for an item, and their parent for the first
//! to end: all of them for ever. Each knows its queue, but not who is at the other end of it.
//!
//! The cure: a scope. Processes in a scope belong together. It joins all of them, and when one
//! fails, it ends the others and says who it was.
//!
//! Output: exact, since one process prints in each run.

use anyhow::Result;
use common::Queue;

/// Prints the sum of the first thousand squares.
fn sum_of_squares(aborts: bool) -> Result<()> {
    let (numbers, squares) = (Queue::with_capacity(1000)?, Queue::with_capacity(1000)?);
    common::scope(|scope| {
        let read = scope.spawn("read", || {
            (1..=1000).try_for_each(|it: u64| numbers.put(&it))
        })?;
        let change = scope.spawn("change", || -> Result<()> {
            for number in numbers.iter() {
                squares.put(&number?.pow(2))?;
                if aborts {
                    std::process::abort();
                }
            }
            Ok(())
        })?;
        scope.spawn("write", || -> Result<()> {
            let sum = squares.iter().sum::<Result<u64, _>>()?;
            println!("The sum is {sum}.");
            Ok(())
        })?;

        read.join()?; // or hears that another one has failed
        numbers.close();
        change.join()?;
        squares.close();
        Ok(())
    })
}

fn main() -> Result<()> {
    common::end_on_broken_pipe();
    sum_of_squares(false)?;
    match sum_of_squares(true) {
        Err(error) => println!("No sum: {error}."),
        Ok(()) => println!("Nobody has failed."),
    }
    Ok(())
}
