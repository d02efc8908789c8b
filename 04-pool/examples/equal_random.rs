//! Two workers draw a secret key each, and draw the same one.
//!
//! The generator was used before the pool was made, so each worker has a copy of it, with its
//! state. The cure is to reseed it in the worker, or to make a new one there. In Python it is the
//! same with numpy's generator; that of `random` is reseeded in every child.
//!
//! Output: exact.

use std::time::Duration;

use anyhow::Result;
use common::{Pool, Queue};
use rand::rngs::{StdRng, SysRng};
use rand::{RngExt, SeedableRng};

/// Draws two keys, one after the other, in two workers.
fn two_keys(draw: impl Fn() -> Result<u128> + Sync) -> Result<Vec<u128>> {
    let tokens = [Queue::new()?, Queue::new()?];
    let pool = Pool::new(2, |number: usize| {
        // Each waits for the other: this takes two workers.
        tokens[number].put(&())?;
        tokens[1 - number].get_timeout(Duration::from_secs(10))?;
        draw()
    })?;
    let submitted = [pool.apply_async(&0), pool.apply_async(&1)];
    let keys = submitted.into_iter().map(|key| Ok(key.get()?)).collect();
    pool.join()?;
    keys
}

fn main() -> Result<()> {
    common::end_on_broken_pipe();
    let _: u128 = rand::rng().random(); // the program has used it for something

    let compare = |keys: Vec<u128>| {
        if keys[0] == keys[1] {
            "equal"
        } else {
            "different"
        }
    };
    let keys = two_keys(|| Ok(rand::rng().random()))?;
    println!("keys of the program's generator: {}", compare(keys));
    let keys = two_keys(|| {
        let mut generator = rand::rng();
        generator.reseed()?;
        Ok(generator.random())
    })?;
    println!("reseeded in the worker:          {}", compare(keys));
    let keys = two_keys(|| Ok(StdRng::try_from_rng(&mut SysRng)?.random()))?;
    println!("made in the worker:              {}", compare(keys));
    Ok(())
}
