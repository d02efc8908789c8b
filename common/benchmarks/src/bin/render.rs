//! Renders the tables, figures and charts of the book again, from the measurements that are there.
//!
//!     cargo run -p benchmarks --bin render

fn main() -> anyhow::Result<()> {
    benchmarks::book::write()
}
