//! Measures one row of one column, in a program of its own.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::rows::Row;
use crate::{crates, limit, ours};
use benchmarks::run::{self, MEASURE};
use benchmarks::work::{Timed, per_operation};

/// What a column does for a row, if anything.
type Column = fn(&str) -> Option<Timed>;

/// The columns that this program measures itself; the second is Python's.
const COLUMNS: [Option<Column>; 4] = [
    Some(ours::timed),
    None,
    Some(crates::timed),
    Some(limit::timed),
];

/// Seconds per operation; `None` where there is nothing to measure.
pub fn measure(row: &Row, column: usize, python: Option<&str>, quick: bool) -> Result<Option<f64>> {
    let (budget, patience) = if quick { (0.001, 10) } else { (0.2, 120) };
    let (least, most) = row.counts(quick);
    let mut command = match (COLUMNS[column], python) {
        (Some(timed), _) if timed(row.name).is_none() => return Ok(None),
        (Some(_), _) => {
            let mut command = run::this()?;
            command.arg(column.to_string());
            command
        }
        (None, None) => return Ok(None),
        (None, Some(python)) => {
            let mut command = Command::new(python);
            command.arg(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/benches/peers/peers.py"
            ));
            command
        }
    };
    command.args([
        row.name,
        &least.to_string(),
        &most.to_string(),
        &budget.to_string(),
    ]);
    let seconds = run::number(command, patience)
        .with_context(|| format!("measuring {:?} in column {}", row.name, column + 1))?;
    Ok(Some(seconds))
}

/// The other side: prints the seconds per operation.
pub fn answer_one(arguments: &[String]) -> Result<()> {
    let [column, row, least, most, budget] = arguments else {
        bail!("{MEASURE} is for this program's own use");
    };
    let timed = COLUMNS.get(column.parse::<usize>()?).copied().flatten();
    let timed = timed
        .and_then(|timed| timed(row))
        .context("nothing to measure")?;
    let budget = Duration::from_secs_f64(budget.parse()?);
    let seconds = per_operation(timed, least.parse()?, most.parse()?, budget)?;
    println!("{seconds}");
    Ok(())
}
