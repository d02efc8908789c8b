//! From measurements to what the pages include: figures, tables and charts.

mod growth;
mod peers;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::markdown::Figures;
use crate::record::{Machine, Rounds, from_csv};

/// Where the measurements are, and what is rendered from them.
pub const DIRECTORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../book/src/measured");

/// Puts a file of measurements into the book, and then what follows from it.
///
/// # Errors
/// As of [`write()`].
pub fn put(name: &str, csv: &str) -> Result<()> {
    write_file(name, csv)?;
    write()
}

/// Renders everything again, from the measurements that are there.
///
/// # Errors
/// A file cannot be read or written; a measurement is not understood.
pub fn write() -> Result<()> {
    let files = render(&read("peers.csv")?, &read("growth.csv")?)?;
    files
        .iter()
        .try_for_each(|(name, content)| write_file(name, content))
}

fn write_file(name: &str, content: &str) -> Result<()> {
    let path = Path::new(DIRECTORY).join(name);
    fs::write(&path, content).with_context(|| format!("cannot write {}", path.display()))
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
        let (lines, machine) = from_csv(peers).context("peers.csv")?;
        files.insert("machine.md".into(), sentence(&machine, &lines));
        peers::render(lines, &mut figures, &mut files).context("peers.csv")?;
    }
    if !growth.is_empty() {
        let (lines, machine) = from_csv(growth).context("growth.csv")?;
        files.insert("growth-machine.md".into(), sentence(&machine, &lines));
        growth::render(&lines, &mut figures, &mut files).context("growth.csv")?;
    }
    if !figures.0.is_empty() {
        files.insert("figures.txt".into(), figures.0);
    }
    Ok(files)
}

/// On what it was measured, in Markdown.
fn sentence<T>(machine: &Machine, lines: &[(T, Rounds)]) -> String {
    let rounds = lines.iter().map(|(_, rounds)| rounds.rounds).max();
    let rounds = rounds.unwrap_or_default();
    let Machine {
        cpu,
        cores,
        kernel,
        python,
        commit,
        ..
    } = machine;
    // Without the commit and the date that follow the version.
    let rustc = machine.rustc.split(" (").next().unwrap_or_default();
    format!(
        "Measured on {cores} cores of an `{cpu}`, with Linux {kernel}, {rustc} and {python}, \
         at commit `{commit}`; medians of {rounds} rounds.\n"
    )
}
