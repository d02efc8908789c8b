//! From measurements to a table of at most 100 columns, and to lines of a CSV file.

use benchmarks::numbers::{ratio, time, wanted};
use benchmarks::record::{Column, Met, PeersLine, Rounds, Unit, median};

use crate::rows::{IDLE_BAR, Row};

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
    fn met(&self, column: usize) -> Option<Met> {
        Some(Met::when(match column {
            0 => self.median(0)? * 1000.0 <= self.bar(0)?,
            _ => self.ratio(column)? >= self.bar(column)?,
        }))
    }

    fn bar(&self, column: usize) -> Option<f64> {
        match column {
            0 => (self.row.unit == Unit::Cpu).then_some(IDLE_BAR),
            _ => self.row.bars[column - 1],
        }
    }

    fn all_met(&self) -> &'static str {
        let met = (0..4).filter_map(|column| self.met(column)).min();
        met.map_or("", Met::word)
    }

    /// A line for each column that was measured.
    pub fn lines(&self) -> Vec<(PeersLine, Rounds)> {
        let [crate_, limit] = self.row.against;
        let names = ["common", "CPython's multiprocessing", crate_, limit];
        let line = |column: Column| {
            let number = column as usize;
            let line = PeersLine {
                row: self.row.name.to_owned(),
                title: self.row.title.to_owned(),
                unit: self.row.unit,
                column,
                what: names[number].to_owned(),
                ours_times_as_fast: self.ratio(number).filter(|_| column != Column::Ours),
                bar: self.bar(number),
                met: self.met(number),
            };
            Some((line, Rounds::of(&self.columns[number])?))
        };
        Column::ALL.into_iter().filter_map(line).collect()
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
        seconds.map_or_else(|| "-".into(), |seconds| row.unit.show(seconds))
    };
    let times = |column| {
        let mark = if measured.met(column) == Some(Met::No) {
            "!"
        } else {
            ""
        };
        measured
            .ratio(column)
            .map_or_else(|| "-".into(), |x| format!("{}{mark}", ratio(x)))
    };
    let bars = if row.unit == Unit::Cpu {
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
