//! From measurements to what the pages include: figures, tables and charts.
//!
//! The benchmarks of `common` write `peers.csv` and `growth.csv` into `book/src/measured/`.
//! Everything else there is rendered from these two, so no figure is typed by hand.

mod chart;
mod growth;
pub mod numbers;
mod peers;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;

/// Where the measurements are, and what is rendered from them.
pub const DIRECTORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/measured");

/// Renders everything again, from the measurements that are there.
///
/// # Errors
/// A file cannot be read or written; a measurement is not understood.
pub fn write() -> Result<()> {
    for (name, content) in render(&read("peers.csv")?, &read("growth.csv")?)? {
        let path = Path::new(DIRECTORY).join(name);
        fs::write(&path, content).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// A file of measurements; empty when there is none.
///
/// # Errors
/// It cannot be read.
pub fn read(name: &str) -> Result<String> {
    let path = Path::new(DIRECTORY).join(name);
    match fs::read_to_string(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        read => read.with_context(|| format!("cannot read {}", path.display())),
    }
}

/// The names and contents of all files that follow from the two files of measurements, either of
/// which may be empty.
///
/// # Errors
/// A measurement is not understood.
pub fn render(peers: &str, growth: &str) -> Result<BTreeMap<String, String>> {
    let mut figures = Figures::default();
    let mut files = BTreeMap::new();
    if !peers.is_empty() {
        peers::render(peers, &mut figures, &mut files).context("peers.csv")?;
    }
    if !growth.is_empty() {
        growth::render(growth, &mut figures, &mut files).context("growth.csv")?;
    }
    if !figures.0.is_empty() {
        files.insert("figures.txt".into(), figures.0);
    }
    Ok(files)
}

/// Numbers to be included in the middle of a sentence, each between anchors of its own.
#[derive(Default)]
struct Figures(String);

impl Figures {
    fn add(&mut self, name: &str, value: &str) {
        // A number is not parted from its unit at the end of a line.
        let value = value.replace(' ', "\u{a0}");
        self.0 += &format!("# ANCHOR: {name}\n{value}\n# ANCHOR_END: {name}\n");
    }
}

/// What it was measured on.
#[derive(Deserialize)]
struct Machine {
    cpu: String,
    cores: u32,
    kernel: String,
    rustc: String,
    python: String,
    commit: String,
    rounds: u32,
}

impl Machine {
    /// One sentence, in Markdown.
    fn sentence(&self) -> String {
        let Machine {
            cpu,
            cores,
            kernel,
            python,
            commit,
            rounds,
            ..
        } = self;
        // Without the commit and the date that follow the version.
        let rustc = self.rustc.split(" (").next().unwrap_or_default();
        format!(
            "Measured on {cores} cores of an `{cpu}`, with Linux {kernel}, {rustc} and {python}, \
             at commit `{commit}`; medians of {rounds} rounds.\n"
        )
    }
}

/// The lines of a CSV file, each with the machine.
fn lines<T: for<'de> Deserialize<'de>>(csv: &str) -> Result<Vec<(T, Machine)>> {
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let headers = reader.headers()?.clone();
    let records = reader.records().map(|record| {
        let record = record?;
        Ok((
            record.deserialize(Some(&headers))?,
            record.deserialize(Some(&headers))?,
        ))
    });
    let lines: Vec<_> = records.collect::<Result<_>>()?;
    lines.first().context("no measurements")?;
    Ok(lines)
}

/// A table in Markdown; the first row is its head, and all columns but the first hold numbers.
fn table(rows: &[Vec<String>]) -> String {
    let mut table = String::new();
    for (number, row) in rows.iter().enumerate() {
        table += &format!("| {} |\n", row.join(" | "));
        if number == 0 {
            table += &format!("|---{}|\n", "|--:".repeat(row.len() - 1));
        }
    }
    table
}
