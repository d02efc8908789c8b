//! Two processes talk over a pipe: a shop asks its storekeeper, who answers each question.
//!
//! A queue is for many and goes one way; a pipe is for two and goes both ways, each with its own
//! type. It ends when one end is dropped: the other one gets an error of its own for that.
//!
//! Output: exact, since only one of the two speaks at a time.

use std::collections::HashMap;

use anyhow::{Result, ensure};
use common::{Connection, PipeError, Process, pipe};

/// Take so many kilograms of something.
type Order = (String, u32);
/// How many are left, or why there are none to take.
type Answer = Result<u32, String>;

fn storekeeper(shop: Connection<Answer, Order>) -> Result<()> {
    let mut stock = HashMap::from([("rice", 3), ("tea", 1)]);
    loop {
        let (article, wanted) = match shop.recv() {
            Ok(order) => order,
            Err(PipeError::Closed) => break, // the shop has dropped its end
            Err(error) => return Err(error.into()), // `Died`, if it could not even do that
        };
        let answer = match stock.get_mut(&*article) {
            None => Err("never heard of it".to_owned()),
            Some(left) if *left < wanted => Err(format!("only {left} kg left")),
            Some(left) => {
                *left -= wanted;
                Ok(*left)
            }
        };
        shop.send(&answer)?;
    }
    println!("storekeeper: the shop is closed");
    Ok(())
}

fn main() -> Result<()> {
    common::end_on_broken_pipe();
    let (store, shop) = pipe::<Order, Answer>()?;
    let mut child = Process::spawn("storekeeper", move || storekeeper(shop))?;

    for (article, wanted) in [("rice", 2), ("tea", 2), ("salt", 1)] {
        store.send(&(article.to_owned(), wanted))?;
        match store.recv()? {
            Ok(left) => println!("shop: sold {wanted} kg of {article}, {left} kg left"),
            Err(reason) => println!("shop: cannot sell {wanted} kg of {article}: {reason}"),
        }
    }

    drop(store);
    ensure!(child.join()?.success(), "the storekeeper failed");
    Ok(())
}
