//! Makes a picture of a run from the record that `MP_TRACE` has made of it.

use std::path::PathBuf;

use clap::Parser;
use common::trace::Trace;

/// Makes a picture of a run.
#[derive(Parser)]
struct Options {
    /// The record: what `MP_TRACE` named when the program ran.
    record: PathBuf,
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    for event in Trace::open(&options.record)?.events() {
        println!("{event:?}");
    }
    Ok(())
}
