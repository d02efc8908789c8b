//! What the documentation of `common` promises, sentence by sentence.

#![allow(clippy::unwrap_used, missing_docs)]

#[macro_use]
#[path = "../harness/mod.rs"]
mod harness;

mod inherited;
mod lock;
mod manager;
mod pipe;
mod pool;
mod pool_outcomes;
mod process;
mod queue;
mod shared;

fn main() {
    let modules = [
        process::trials(),
        lock::trials(),
        shared::trials(),
        queue::trials(),
        pipe::trials(),
        manager::trials(),
        pool::trials(),
        pool_outcomes::trials(),
        inherited::trials(),
    ];
    harness::main(modules.into_iter().flatten().collect());
}
