//! Renders the tables, figures and charts of the book again, from the measurements that are there.
//!
//!     cargo run -p book --example render

fn main() -> anyhow::Result<()> {
    book::measured::write()
}
