//! The arguments of a benchmark.

use anyhow::{Context, Result, bail, ensure};

use super::machine::{PYTHON, python};

pub struct Options {
    pub quick: bool,
    pub rounds: usize,
    pub write: bool,
    /// What to measure: some of the names that there are.
    pub names: Vec<&'static str>,
    /// Python's program, if it is there.
    pub python: Option<&'static str>,
}

impl Options {
    /// `None` unless `cargo bench` runs this, which says so: `cargo test --benches` does not.
    pub fn parse(
        arguments: Vec<String>,
        all: &[&'static str],
        usage: &str,
    ) -> Result<Option<Options>> {
        let mut options = Options {
            quick: false,
            rounds: 5,
            write: false,
            names: Vec::new(),
            python: python().map(|_| PYTHON),
        };
        let mut bench = false;
        let mut rounds = None;
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--bench" => bench = true,
                "--quick" => options.quick = true,
                "--write" => options.write = true,
                "--rounds" => {
                    let number = arguments.next().and_then(|number| number.parse().ok());
                    rounds =
                        Some(number.with_context(|| format!("--rounds needs a number\n{usage}"))?);
                }
                name => match all.iter().find(|known| **known == name) {
                    Some(name) => options.names.push(name),
                    None => bail!("no {name:?}; there are {}\n{usage}", all.join(", ")),
                },
            }
        }
        if !bench {
            return Ok(None);
        }
        options.rounds = rounds.unwrap_or(if options.quick { 1 } else { options.rounds });
        ensure!(options.rounds > 0, "--rounds needs at least 1\n{usage}");
        if options.write {
            // Or the book would show figures that mean nothing, or pages would lack theirs.
            ensure!(
                !options.quick,
                "--write is for the book, and --quick measures nothing that it may show"
            );
            ensure!(
                options.names.is_empty(),
                "--write is for the book, which shows all of it: name none to measure"
            );
            ensure!(
                options.python.is_some(),
                "--write is for the book, which compares with CPython: no {PYTHON} here"
            );
        }
        if options.names.is_empty() {
            options.names = all.to_vec();
        }
        if options.python.is_none() {
            println!("No {PYTHON} here: the column of CPython stays empty.");
        }
        Ok(Some(options))
    }
}
