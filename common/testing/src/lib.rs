//! Runs the programs of this workspace and says what may be claimed of their output.
//!
//! A test runs a program with [`run`], brings its output into the form of its class ([`exact`],
//! [`any_order`], [`any_order_then`], [`per_process`], [`masked`], [`sample`]) and compares
//! that with a snapshot.

mod class;
mod program;

pub use class::{any_order, any_order_then, exact, first_words, masked, per_process, sample};
pub use program::{Output, Program, example, interrupt, interrupt_command, run};
