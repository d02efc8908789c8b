//! A pool: its tasks, callbacks, failures, workers and ends.

mod callbacks;
mod ends;
mod failures;
mod outcomes;
mod tasks;
mod workers;

use common::{Pool, TaskError};
use serde::{Deserialize, Serialize};

/// The trials of these modules.
pub fn trials() -> Vec<libtest_mimic::Trial> {
    let modules = [
        tasks::trials(),
        callbacks::trials(),
        failures::trials(),
        outcomes::trials(),
        workers::trials(),
        ends::trials(),
    ];
    modules.into_iter().flatten().collect()
}

type Result<T, E = TaskError> = std::result::Result<T, E>;

/// A task that does what it is told.
fn obey(order: Order) -> anyhow::Result<u64> {
    match order {
        Order::Give(number) => Ok(number),
        Order::Fail => Err(anyhow::anyhow!("the cause").context("the task failed")),
        Order::Panic => panic!("on purpose"),
        Order::Exit(code) => std::process::exit(code),
        // Again: the standard library's handler takes the first SIGSEGV for a stack overflow.
        Order::Die(signal) => loop {
            nix::sys::signal::raise(nix::sys::signal::Signal::try_from(signal)?)?;
        },
        Order::Sleep => loop {
            nix::unistd::pause();
        },
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
enum Order {
    Give(u64),
    Fail,
    Panic,
    Exit(i32),
    Die(i32),
    Sleep,
}

fn pool<'cb>() -> Pool<'cb, Order, u64> {
    Pool::new(2, obey).unwrap()
}
