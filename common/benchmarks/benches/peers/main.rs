//! Ours, CPython's `multiprocessing`, the nearest crate and the limit of the system, side by side.
//!
//!     cargo bench -p benchmarks --bench peers -- [--quick] [--rounds N] [--write] [ROW]...
//!
//! The rounds go through the columns one after the other, so that whatever else the machine does
//! meets all of them. Shown are medians. `--quick` shows that everything runs, with figures that
//! mean nothing. `--write` puts the figures into the book, with its table and its chart.

mod crates;
mod limit;
mod measure;
mod ours;
mod rows;
mod table;

use anyhow::Result;
use benchmarks::options::Options;
use benchmarks::record::to_csv;
use benchmarks::run::MEASURE;
use benchmarks::{book, machine};

use measure::{answer_one, measure};
use rows::ROWS;
use table::{Measured, heading, legend, line};

fn main() -> Result<()> {
    common::end_on_broken_pipe();
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
    let Some(options) = Options::parse("peers", "ROW", &ROWS.map(|row| row.name))? else {
        return Ok(());
    };
    let machine = machine::this()?;
    println!("{}", heading());
    let mut all = Vec::new();
    for row in ROWS.iter().filter(|row| options.names(row.name)) {
        let mut measured = Measured {
            row,
            columns: Default::default(),
        };
        for _ in 0..options.rounds() {
            for (column, rounds) in measured.columns.iter_mut().enumerate() {
                rounds.extend(measure(row, column, options.python, options.quick)?);
            }
        }
        println!("{}", line(&measured));
        all.push(measured);
    }
    println!("\n{}", legend(&all));
    if options.write {
        let lines: Vec<_> = all.iter().flat_map(Measured::lines).collect();
        book::put("peers.csv", &to_csv(&lines, &machine)?)?;
    }
    Ok(())
}
