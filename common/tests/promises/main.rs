//! What the documentation of `common` promises, sentence by sentence.

#![allow(clippy::unwrap_used, missing_docs)]

#[macro_use]
#[path = "../harness/mod.rs"]
mod harness;

mod asleep;
mod inherited;
mod lock;
mod manager;
mod pipe;
mod pool;
mod process;
mod queue;
mod scope;
mod shared;
mod trust;

fn main() {
    let modules = [
        process::trials(),
        scope::trials(),
        lock::trials(),
        shared::trials(),
        queue::trials(),
        pipe::trials(),
        manager::trials(),
        pool::trials(),
        asleep::trials(),
        inherited::trials(),
        trust::trials(),
    ];
    harness::main(modules.into_iter().flatten().collect());
}
