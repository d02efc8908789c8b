//! From measurements to a table of at most 100 columns, and to CSV.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::rows::{IDLE_BAR, Row, Unit};
use crate::work::cores;

/// A row's figures: seconds per operation, round by round, for each of the four columns that
/// could be measured.
pub struct Measured<'a> {
    pub row: &'a Row,
    pub columns: [Vec<f64>; 4],
}

impl Measured<'_> {
    fn median(&self, column: usize) -> Option<f64> {
        median(&self.columns[column])
    }

    /// How many times as fast as a column's ours is: the median of the rounds' ratios, since what
    /// disturbs a round disturbs its neighbours alike.
    fn ratio(&self, column: usize) -> Option<f64> {
        let pairs = self.columns[column].iter().zip(&self.columns[0]);
        let ratios: Vec<f64> = pairs.map(|(theirs, ours)| theirs / ours).collect();
        median(&ratios)
    }

    /// Whether a column's bar was met, if it has one and was measured.
    fn met(&self, column: usize) -> Option<bool> {
        if column == 0 {
            let idle = self.row.unit == Unit::CpuPerSecond;
            return idle.then(|| self.median(0).map(|cpu| cpu * 1000.0 <= IDLE_BAR))?;
        }
        Some(self.ratio(column)? >= self.row.bars[column - 1]?)
    }

    fn all_met(&self) -> &'static str {
        match (0..4).filter_map(|column| self.met(column)).min() {
            Some(true) => "yes",
            Some(false) => "no",
            None => "",
        }
    }
}

fn median(values: &[f64]) -> Option<f64> {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let (low, high) = (
        values.get(values.len().saturating_sub(1) / 2)?,
        values.get(values.len() / 2)?,
    );
    Some((low + high) / 2.0)
}

pub fn heading() -> String {
    format!(
        "{:26} {:>8} {:>8} {:>6} {:>8} {:>6} {:>8} {:>6} {:>10} {}",
        "", "ours", "CPython", "x", "crate", "x", "limit", "x", "bars", "met"
    )
}

/// One line of the table. A ratio that misses its bar has a mark.
pub fn line(measured: &Measured) -> String {
    let row = measured.row;
    let value = |column| {
        let seconds = measured.median(column);
        seconds.map_or_else(|| "-".into(), |seconds| show(seconds, row.unit))
    };
    let ratio = |column| {
        let mark = if measured.met(column) == Some(false) {
            "!"
        } else {
            ""
        };
        measured
            .ratio(column)
            .map_or_else(|| "-".into(), |x| format!("{}{mark}", three_digits(x)))
    };
    let bars = if row.unit == Unit::CpuPerSecond {
        format!("{} CPU", show(IDLE_BAR, Unit::Time))
    } else {
        row.bars
            .map(|bar| {
                bar.map_or_else(
                    || "-".into(),
                    |bar| format!("{}", (bar * 100.0).round() / 100.0),
                )
            })
            .join("/")
    };
    format!(
        "{:26} {:>8} {:>8} {:>6} {:>8} {:>6} {:>8} {:>6} {:>10} {}",
        row.title,
        value(0),
        value(1),
        ratio(1),
        value(2),
        ratio(2),
        value(3),
        ratio(3),
        bars,
        measured.all_met()
    )
}

/// What the columns of the crate and of the limit are in each row.
pub fn legend(rows: &[&Row]) -> String {
    let mut lines = String::from(
        "x: how many times as fast ours is, the median of the rounds; bars: the least x wanted \
         against\nCPython/crate/limit; !: missed. What crate and limit are:\n",
    );
    for row in rows {
        if let [crate_, limit] = row.against
            && (!crate_.is_empty() || !limit.is_empty())
        {
            let dash = |text: &'static str| if text.is_empty() { "-" } else { text };
            lines += &format!("  {:26} {:28} {}\n", row.title, dash(crate_), dash(limit));
        }
    }
    lines
}

fn show(seconds: f64, unit: Unit) -> String {
    match unit {
        Unit::Throughput => format!("{}GB/s", three_digits(f64::from(1 << 20) / seconds / 1e9)),
        Unit::CpuPerSecond => show(seconds * 1000.0, Unit::Time),
        Unit::Time if seconds < 1e-6 => format!("{} ns", three_digits(seconds * 1e9)),
        Unit::Time if seconds < 1e-3 => format!("{} us", three_digits(seconds * 1e6)),
        Unit::Time if seconds < 1.0 => format!("{} ms", three_digits(seconds * 1e3)),
        Unit::Time => format!("{} s", three_digits(seconds)),
    }
}

fn three_digits(value: f64) -> String {
    let decimals = match value {
        value if value < 10.0 => 2,
        value if value < 100.0 => 1,
        _ => 0,
    };
    format!("{value:.decimals$}")
}

/// One line for each figure, each with what it was measured on.
pub fn write_csv(path: &Path, all: &[Measured], python: &str) -> Result<()> {
    let machine = [
        &processor().unwrap_or_else(|| "unknown".into()),
        &cores().to_string(),
        fs::read_to_string("/proc/sys/kernel/osrelease")?.trim(),
        &output("rustc", &["--version"]),
        python,
        &output("git", &["describe", "--always", "--dirty", "--abbrev=12"]),
    ]
    .map(quote)
    .join(",");
    let mut csv = String::from(
        "row,column,what,median_seconds,least_seconds,most_seconds,rounds,ours_times_as_fast,bar,\
         met,cpu,cores,kernel,rustc,python,commit\n",
    );
    for measured in all {
        let row = measured.row;
        let names = [
            "common",
            "CPython's multiprocessing",
            row.against[0],
            row.against[1],
        ];
        for (column, title) in ["ours", "cpython", "crate", "limit"].iter().enumerate() {
            let rounds = &measured.columns[column];
            let Some(median) = measured.median(column) else {
                continue;
            };
            let least = rounds.iter().copied().fold(f64::INFINITY, f64::min);
            let most = rounds.iter().copied().fold(0.0, f64::max);
            let number = |value: Option<f64>| value.map_or_else(String::new, |v| format!("{v:.4}"));
            let (ratio, bar) = match column {
                0 => (None, None),
                _ => (measured.ratio(column), row.bars[column - 1]),
            };
            let met = measured
                .met(column)
                .map_or("", |met| if met { "yes" } else { "no" });
            csv += &format!(
                "{},{title},{},{median:e},{least:e},{most:e},{},{},{},{met},{machine}\n",
                row.name,
                quote(names[column]),
                rounds.len(),
                number(ratio),
                number(bar)
            );
        }
    }
    fs::write(path, csv).with_context(|| format!("cannot write {}", path.display()))
}

fn quote(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

fn processor() -> Option<String> {
    let info = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = info.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// A program's answer in one line.
pub fn output(program: &str, arguments: &[&str]) -> String {
    Command::new(program)
        .args(arguments)
        .output()
        .ok()
        .filter(|output| output.status.success())
        .map_or_else(
            || "unknown".into(),
            |output| String::from_utf8_lossy(&output.stdout).trim().into(),
        )
}
