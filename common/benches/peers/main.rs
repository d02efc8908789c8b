//! Ours, CPython's `multiprocessing`, the nearest crate and the limit of the system, side by side.
//!
//!     cargo bench -p common --bench peers -- [--quick] [--rounds N] [--write FILE.csv] [ROW]...
//!
//! The rounds go through the columns one after the other, so that whatever else the machine does
//! meets all of them. Shown are medians. `--quick` shows that everything runs, with figures that
//! mean nothing.

mod crates;
mod limit;
mod measure;
mod ours;
mod rows;
mod table;
mod work;

use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};

use measure::{MEASURE, answer_one, measure};
use rows::{ROWS, Row};
use table::{Measured, heading, legend, line, output, write_csv};

const PYTHON: &str = "python3";
const USAGE: &str = "usage: cargo bench -p common --bench peers -- \
                     [--quick] [--rounds N] [--write FILE.csv] [ROW]...";

fn main() -> Result<()> {
    // SAFETY: procspawn's tasks are functions of this program, not of a shared library.
    unsafe { procspawn::assert_spawn_is_safe() };
    // In one of procspawn's processes, this does not return.
    procspawn::init();

    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [first, rest @ ..] = &arguments[..]
        && first == MEASURE
    {
        return answer_one(rest);
    }
    let Some(options) = Options::parse(arguments)? else {
        return Ok(());
    };
    let version = output(PYTHON, &["--version"]);
    let python = (version != "unknown").then_some(PYTHON);
    if python.is_none() {
        println!("No {PYTHON} here: the column of CPython stays empty.");
    }
    println!("{}", heading());
    let mut all = Vec::new();
    for &row in &options.rows {
        let mut measured = Measured {
            row,
            columns: Default::default(),
        };
        for _ in 0..options.rounds {
            for (column, rounds) in measured.columns.iter_mut().enumerate() {
                rounds.extend(measure(row, column, python, options.quick)?);
            }
        }
        println!("{}", line(&measured));
        all.push(measured);
    }
    println!("\n{}", legend(&options.rows));
    if let Some(path) = options.write {
        write_csv(&path, &all, &version)?;
    }
    Ok(())
}

struct Options {
    quick: bool,
    rounds: usize,
    write: Option<PathBuf>,
    rows: Vec<&'static Row>,
}

impl Options {
    /// `None` unless `cargo bench` runs this, which says so: `cargo test --benches` does not.
    fn parse(arguments: Vec<String>) -> Result<Option<Self>> {
        let mut options = Options {
            quick: false,
            rounds: 5,
            write: None,
            rows: Vec::new(),
        };
        let mut bench = false;
        let mut rounds = None;
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--bench" => bench = true,
                "--quick" => options.quick = true,
                "--rounds" => {
                    let number = arguments.next().and_then(|number| number.parse().ok());
                    rounds =
                        Some(number.with_context(|| format!("--rounds needs a number\n{USAGE}"))?);
                }
                "--write" => {
                    let path = arguments.next().filter(|path| !path.starts_with("--"));
                    options.write = Some(
                        path.with_context(|| format!("--write needs a file\n{USAGE}"))?
                            .into(),
                    );
                }
                name => match ROWS.iter().find(|row| row.name == name) {
                    Some(row) => options.rows.push(row),
                    None => {
                        let names = ROWS.map(|row| row.name).join(", ");
                        bail!("no row {name:?}; there are {names}\n{USAGE}");
                    }
                },
            }
        }
        if !bench {
            return Ok(None);
        }
        options.rounds = rounds.unwrap_or(if options.quick { 1 } else { options.rounds });
        ensure!(options.rounds > 0, "--rounds needs at least 1\n{USAGE}");
        if options.rows.is_empty() {
            options.rows = ROWS.iter().collect();
        }
        Ok(Some(options))
    }
}
