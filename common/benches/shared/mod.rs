//! What the benchmarks that fill the book have in common.

pub mod machine;
pub mod mutex;
pub mod options;
pub mod run;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// The middle one, or the mean of the two in the middle.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let (low, high) = (
        values.get(values.len().saturating_sub(1) / 2)?,
        values.get(values.len() / 2)?,
    );
    Some((low + high) / 2.0)
}

/// A field of a CSV file.
pub fn quote(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

/// The median, the least, the most and the number of rounds: four fields of a CSV file.
pub fn rounds(rounds: &[f64]) -> Option<String> {
    let median = median(rounds)?;
    let least = rounds.iter().copied().fold(f64::INFINITY, f64::min);
    let most = rounds.iter().copied().fold(0.0, f64::max);
    Some(format!("{median:e},{least:e},{most:e},{}", rounds.len()))
}

/// Writes the measurements into the book, and then what follows from them.
pub fn write_into_book(name: &str, csv: &str) -> Result<()> {
    let path = Path::new(book::measured::DIRECTORY).join(name);
    fs::write(&path, csv).with_context(|| format!("cannot write {}", path.display()))?;
    book::measured::write()
}
