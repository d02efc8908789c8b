//! Two processes talk over a pipe: a shop asks its storekeeper, who answers each question.
//!
//! A queue is for many and goes one way; a pipe is for two and goes both ways, each with its own
//! type. It ends when one end is dropped: the other one gets an error of its own for that.
//!
//! Output: exact, since only one of the two speaks at a time.

use std::collections::HashMap;

use anyhow::{Result, ensure};
use common::{Connection, PipeError, Process, pipe};

/// Take so many of an article.
type Order = (String, u32);
/// How many are left, or why there are none to take.
type Answer = Result<u32, String>;

fn storekeeper(shop: Connection<Answer, Order>) -> Result<()> {
    let mut stock = HashMap::from([("lamp", 3), ("chair", 1)]);
    loop {
        let (article, count) = match shop.recv() {
            Ok(order) => order,
            Err(PipeError::Closed) => break, // the shop has dropped its end
            Err(error) => return Err(error.into()), // it has died, for one
        };
        let answer = match stock.get_mut(&*article) {
            None => Err(format!("we have never had any {article}")),
            Some(left) if *left < count => Err(format!("only {left} left")),
            Some(left) => {
                *left -= count;
                Ok(*left)
            }
        };
        shop.send(&answer)?;
    }
    println!("storekeeper: no more orders, {} lamp left", stock["lamp"]);
    Ok(())
}

fn main() -> Result<()> {
    let (store, shop) = pipe::<Order, Answer>()?;
    let mut child = Process::spawn("storekeeper", move || storekeeper(shop))?;

    for (article, count) in [("lamp", 2), ("chair", 2), ("carpet", 1)] {
        store.send(&(article.to_owned(), count))?;
        match store.recv()? {
            Ok(left) => println!("shop: sold {count} {article}, {left} left"),
            Err(reason) => println!("shop: cannot sell {count} {article}: {reason}"),
        }
    }

    drop(store);
    ensure!(child.join()?.success(), "the storekeeper failed");
    Ok(())
}
