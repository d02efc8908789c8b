//! From measurements to a table of at most 100 columns, and to CSV.

use book::measured::numbers::{bytes_per_second, ratio, time, wanted};

use crate::rows::{IDLE_BAR, Row, Unit};
use crate::shared::{machine, median, quote, rounds};

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
    let times = |column| {
        let mark = if measured.met(column) == Some(false) {
            "!"
        } else {
            ""
        };
        measured
            .ratio(column)
            .map_or_else(|| "-".into(), |x| format!("{}{mark}", ratio(x)))
    };
    let bars = if row.unit == Unit::CpuPerSecond {
        format!("{} CPU", time(IDLE_BAR))
    } else {
        row.bars
            .map(|bar| bar.map_or_else(|| "-".into(), wanted))
            .join("/")
    };
    format!(
        "{:26} {:>8} {:>8} {:>6} {:>8} {:>6} {:>8} {:>6} {:>10} {}",
        row.title,
        value(0),
        value(1),
        times(1),
        value(2),
        times(2),
        value(3),
        times(3),
        bars,
        measured.all_met()
    )
}

/// What the columns of the crate and of the limit are in each row.
pub fn legend(all: &[Measured]) -> String {
    let mut lines = String::from(
        "x: how many times as fast ours is, the median of the rounds; bars: the least x wanted \
         against\nCPython/crate/limit; !: missed. What crate and limit are:\n",
    );
    for Measured { row, .. } in all {
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
        Unit::Throughput => bytes_per_second(f64::from(1 << 20) / seconds),
        Unit::CpuPerSecond => time(seconds * 1000.0),
        Unit::Time => time(seconds),
    }
}

/// One line for each figure, each with what it was measured on.
pub fn csv(all: &[Measured], machine: &str) -> String {
    let mut csv = format!(
        "row,title,unit,column,what,median_seconds,least_seconds,most_seconds,rounds,\
         ours_times_as_fast,bar,met,{}\n",
        machine::HEAD
    );
    for measured in all {
        let row = measured.row;
        let unit = match row.unit {
            Unit::Time => "time",
            Unit::Throughput => "throughput",
            Unit::CpuPerSecond => "cpu",
        };
        let names = [
            "common",
            "CPython's multiprocessing",
            row.against[0],
            row.against[1],
        ];
        for (column, title) in ["ours", "cpython", "crate", "limit"].iter().enumerate() {
            let Some(rounds) = rounds(&measured.columns[column]) else {
                continue;
            };
            let number = |value: Option<f64>| value.map_or_else(String::new, |v| format!("{v:.4}"));
            let (ratio, bar) = match column {
                0 => (None, (row.unit == Unit::CpuPerSecond).then_some(IDLE_BAR)),
                _ => (measured.ratio(column), row.bars[column - 1]),
            };
            let met = measured
                .met(column)
                .map_or("", |met| if met { "yes" } else { "no" });
            csv += &format!(
                "{},{},{unit},{title},{},{rounds},{},{},{met},{machine}\n",
                row.name,
                quote(row.title),
                quote(names[column]),
                number(ratio),
                number(bar)
            );
        }
    }
    csv
}
