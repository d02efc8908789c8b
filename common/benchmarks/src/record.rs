//! A line of a CSV file of measurements: the benchmarks write it, the book is rendered from it.
//!
//! It has three parts: what was measured, a [`PeersLine`] or a [`GrowthLine`], then the
//! [`Rounds`], then the [`Machine`].

use anyhow::{Context, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::numbers::{bytes_per_second, time};

/// One column of one row of the benchmark `peers`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PeersLine {
    /// The row's short name.
    pub row: String,
    /// The row's name for people.
    pub title: String,
    /// How its seconds are shown.
    pub unit: Unit,
    /// Whose seconds they are.
    pub column: Column,
    /// What the column is in this row.
    pub what: String,
    /// The median of the rounds' ratios; nothing for ours.
    pub ours_times_as_fast: Option<f64>,
    /// The least ratio that we want, or for ours the most seconds.
    pub bar: Option<f64>,
    /// Whether it is so, where there is a bar.
    pub met: Option<Met>,
}

/// One point of one line of a series of the benchmark `growth`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GrowthLine {
    /// The series.
    pub series: String,
    /// The size or the number by which the cost grows.
    pub x: u64,
    /// The line's short name.
    pub column: String,
    /// The line's name for people.
    pub what: String,
}

/// Seconds per operation, over the rounds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rounds {
    /// The middle one.
    pub median_seconds: f64,
    /// The fastest.
    pub least_seconds: f64,
    /// The slowest.
    pub most_seconds: f64,
    /// How many there were.
    pub rounds: usize,
}

/// What it was measured on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// The processor's name.
    pub cpu: String,
    /// How many cores it has for us.
    pub cores: usize,
    /// The kernel's version.
    pub kernel: String,
    /// What `rustc --version` says.
    pub rustc: String,
    /// What `python3 --version` says.
    pub python: String,
    /// The commit of what was measured.
    pub commit: String,
}

/// How the seconds of a row are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// Of an operation.
    Time,
    /// An operation moves a mebibyte.
    Throughput,
    /// An operation is a millisecond of waiting; shown is the CPU time that a second of it takes.
    Cpu,
}

/// What stands side by side in the benchmark `peers`, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Column {
    /// `common`.
    Ours,
    /// CPython's `multiprocessing`.
    CPython,
    /// The nearest other crate.
    Crate,
    /// The least that the system asks for.
    Limit,
}

/// Whether a bar was met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Met {
    /// It was missed. Of several, the least says it for all.
    No,
    /// It was met.
    Yes,
}

impl Unit {
    /// The seconds of an operation, for people.
    pub fn show(self, seconds: f64) -> String {
        match self {
            Unit::Time => time(seconds),
            Unit::Throughput => bytes_per_second(f64::from(1 << 20) / seconds),
            Unit::Cpu => time(seconds * 1000.0),
        }
    }
}

impl Column {
    /// All of them, in their order.
    pub const ALL: [Column; 4] = [Column::Ours, Column::CPython, Column::Crate, Column::Limit];

    /// As names of figures have it.
    pub fn word(self) -> &'static str {
        match self {
            Column::Ours => "ours",
            Column::CPython => "cpython",
            Column::Crate => "crate",
            Column::Limit => "limit",
        }
    }
}

impl Met {
    /// `Yes` when it is so.
    pub fn when(met: bool) -> Met {
        if met { Met::Yes } else { Met::No }
    }

    /// As tables have it.
    pub fn word(self) -> &'static str {
        match self {
            Met::No => "no",
            Met::Yes => "yes",
        }
    }
}

impl Rounds {
    /// Of the seconds of each round; nothing of none.
    pub fn of(seconds: &[f64]) -> Option<Rounds> {
        Some(Rounds {
            median_seconds: median(seconds)?,
            least_seconds: seconds.iter().copied().fold(f64::INFINITY, f64::min),
            most_seconds: seconds.iter().copied().fold(0.0, f64::max),
            rounds: seconds.len(),
        })
    }
}

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

/// The text of a file.
///
/// # Errors
/// A field is none that CSV can hold.
pub fn to_csv<T: Serialize>(lines: &[(T, Rounds)], machine: &Machine) -> Result<String> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for (line, rounds) in lines {
        writer.serialize((line, rounds, machine))?;
    }
    Ok(String::from_utf8(writer.into_inner()?)?)
}

/// The lines of a file, and on what the first of them was measured.
///
/// # Errors
/// There are none, or one lacks a field or has one that is not understood.
pub fn from_csv<T: DeserializeOwned>(csv: &str) -> Result<(Vec<(T, Rounds)>, Machine)> {
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let names = Some(reader.headers()?.clone());
    let records: Vec<_> = reader.records().collect::<Result<_, _>>()?;
    // Each part finds its fields by their names.
    let lines = records.iter().map(|record| {
        Ok((
            record.deserialize(names.as_ref())?,
            record.deserialize(names.as_ref())?,
        ))
    });
    let first = records.first().context("no measurements")?;
    Ok((
        lines.collect::<Result<_>>()?,
        first.deserialize(names.as_ref())?,
    ))
}
