//! Runs the programs of this workspace and says what may be claimed of their output.
//!
//! A test runs a program with [`run`] or [`python`], hides in its output what differs from run to
//! run ([`exact`], [`any_order`], [`any_order_then`], [`per_process`], [`masked`], [`chain`],
//! [`sample`]) and compares the [`Claim`] that is left with a snapshot, by [`assert_output`].

mod class;
mod program;
mod snapshot;

#[doc(hidden)]
pub use insta;

pub use class::{Claim, any_order, any_order_then, chain, exact, masked, per_process, sample};
pub use program::{
    Output, Program, can_use, example, examples, interrupt, interrupt_command, into_broken_pipe,
    into_broken_pipe_command, python, run,
};
#[doc(hidden)]
pub use snapshot::settings;
