//! How a cost grows: with the size of an item, with the number of processes, with a queue's
//! capacity, with the parent's memory.
//!
//!     cargo bench -p benchmarks --bench growth -- [--quick] [--rounds N] [--write] [SERIES]...
//!
//! A round goes through all points of a series and all columns of each point, so that whatever
//! else the machine does meets all of them. Shown are medians. `--quick` shows that everything
//! runs, with figures that mean nothing. `--write` puts the figures into the book, with their
//! tables and charts.

mod memory;
mod queue;
mod series;
mod together;

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use benchmarks::book;
use benchmarks::machine::{self, PYTHON};
use benchmarks::numbers::{count, time};
use benchmarks::options::Options;
use benchmarks::record::{GrowthLine, Rounds, median, to_csv};
use benchmarks::run::{self, MEASURE};
use benchmarks::work::per_operation;

use memory::{EXIT, available};
use series::{Column, SERIES, Series};

fn main() -> Result<()> {
    common::end_on_broken_pipe();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &arguments[..] {
        [first] if first == EXIT => return Ok(()),
        [first, rest @ ..] if first == MEASURE => return answer_one(rest),
        _ => {}
    }
    let Some(options) = Options::parse("growth", "SERIES", &SERIES.map(|series| series.name))?
    else {
        return Ok(());
    };
    let machine = machine::this()?;
    let mut lines = Vec::new();
    for series in SERIES.iter().filter(|series| options.names(series.name)) {
        let points = measure(series, &options)?;
        lines.extend(points.iter().filter_map(|point| point.line(series)));
    }
    if options.write {
        book::put("growth.csv", &to_csv(&lines, &machine)?)?;
    }
    Ok(())
}

/// One column at one `x`: seconds per operation, round by round.
struct Point<'a> {
    x: u64,
    column: &'a Column,
    rounds: Vec<f64>,
}

impl Point<'_> {
    /// Nothing where it was not measured.
    fn line(&self, series: &Series) -> Option<(GrowthLine, Rounds)> {
        let line = GrowthLine {
            series: series.name.to_owned(),
            x: self.x,
            column: self.column.name.to_owned(),
            what: self.column.what.to_owned(),
        };
        Some((line, Rounds::of(&self.rounds)?))
    }
}

/// Measures a series and prints it.
fn measure<'a>(series: &'a Series, options: &Options) -> Result<Vec<Point<'a>>> {
    let room = available()? / 4;
    let fits = |x: &&u64| {
        let fits = series.name != "memory" || **x <= room;
        if !fits {
            println!("Not with {x} bytes: more than a quarter of the memory that is free.");
        }
        fits
    };
    let xs: Vec<u64> = series.xs.iter().filter(fits).copied().collect();
    let mut points = Vec::new();
    for x in xs {
        for column in series.columns {
            if (column.from..=column.to).contains(&x) {
                points.push(Point {
                    x,
                    column,
                    rounds: Vec::new(),
                });
            }
        }
    }
    for _ in 0..options.rounds() {
        for point in &mut points {
            if point.column.name != "cpython" || options.python.is_some() {
                point.rounds.push(run(series, point, options.quick)?);
            }
        }
    }
    println!("\n{}: {}", series.name, series.title);
    for point in &points {
        let Some(seconds) = median(&point.rounds) else {
            continue;
        };
        let (what, rate) = (point.column.what, count(1.0 / seconds));
        println!("{:>12} {what:18} {:>9} {rate:>8}/s", point.x, time(seconds));
    }
    Ok(points)
}

/// Seconds per operation, measured in a program of its own.
fn run(series: &Series, point: &Point, quick: bool) -> Result<f64> {
    let (budget, patience) = if quick { (0.001, 20) } else { (0.15, 60) };
    let mut command = match point.column.timed {
        Some(_) => run::this()?,
        None => {
            let mut command = Command::new(PYTHON);
            command.arg(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/benches/growth/growth.py"
            ));
            command
        }
    };
    let (name, column) = (series.name, point.column.name);
    command.args([name, &point.x.to_string(), column, &budget.to_string()]);
    run::number(command, patience)
        .with_context(|| format!("measuring {name} at {} in {column}", point.x))
}

/// The other side: prints the seconds per operation.
fn answer_one(arguments: &[String]) -> Result<()> {
    let [series, x, column, budget] = arguments else {
        bail!("{MEASURE} is for this program's own use");
    };
    let series = SERIES.iter().find(|known| known.name == series);
    let column = series.and_then(|series| series.columns.iter().find(|known| known.name == column));
    let timed = column.and_then(|column| column.timed);
    let timed = timed.context("nothing to measure")?;
    let (x, budget) = (x.parse()?, Duration::from_secs_f64(budget.parse()?));
    let seconds = per_operation(timed(x)?, 4, u64::MAX, budget)?;
    println!("{seconds}");
    Ok(())
}
