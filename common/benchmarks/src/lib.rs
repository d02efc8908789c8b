//! What the benchmarks `peers` and `growth` have in common, and what the book shows of them.
//!
//! The benchmarks write `peers.csv` and `growth.csv` into the book; its tables, charts and figures
//! are rendered from these two, so that none is typed by hand.
//!
//! A module uses only those above it.

pub mod mutex;
pub mod numbers;
pub mod run;
pub mod work;

pub mod record;

pub mod machine;

pub mod options;

pub mod chart;
pub mod markdown;

pub mod book;
