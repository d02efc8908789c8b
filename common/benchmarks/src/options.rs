//! The arguments of a benchmark.

use anyhow::{Result, ensure};
use clap::builder::PossibleValuesParser;
use clap::{Command, CommandFactory, FromArgMatches, Parser, value_parser};

use crate::machine::{PYTHON, python};

/// Measures one operation after the other, and prints the medians of several rounds.
#[derive(Parser, Debug)]
pub struct Options {
    /// Show that everything runs, with figures that mean nothing.
    #[arg(long)]
    pub quick: bool,
    /// How often to measure everything [default: 5, or 1 with --quick].
    #[arg(long, value_name = "N", value_parser = value_parser!(u16).range(1..))]
    rounds: Option<u16>,
    /// Put the figures into the book, with the tables and charts that follow from them.
    #[arg(long)]
    pub write: bool,
    /// What to measure: all of it, unless some are named.
    names: Vec<String>,
    /// What `cargo bench` says to each of its programs, and `cargo test --benches` does not.
    #[arg(long, hide = true)]
    bench: bool,
    /// Python's program, if it is there.
    #[arg(skip)]
    pub python: Option<&'static str>,
}

impl Options {
    /// Those that the program was given; `all` are the names that there are. `None` unless
    /// `cargo bench` runs it.
    ///
    /// # Errors
    /// They contradict each other. What is no option at all, and `--help`, ends the program.
    pub fn parse(
        benchmark: &str,
        name: &'static str,
        all: &[&'static str],
    ) -> Result<Option<Self>> {
        let matches = command(benchmark, name, all).get_matches();
        let mut options = Options::from_arg_matches(&matches)?;
        if !options.bench {
            return Ok(None);
        }
        options.python = python().map(|_| PYTHON);
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
        if options.python.is_none() {
            println!("No {PYTHON} here: the column of CPython stays empty.");
        }
        Ok(Some(options))
    }

    /// How often to measure everything.
    pub fn rounds(&self) -> u16 {
        self.rounds.unwrap_or(if self.quick { 1 } else { 5 })
    }

    /// Whether to measure what has this name.
    pub fn names(&self, name: &str) -> bool {
        self.names.is_empty() || self.names.iter().any(|named| named == name)
    }
}

fn command(benchmark: &str, name: &'static str, all: &[&'static str]) -> Command {
    let all = PossibleValuesParser::new(all);
    Options::command()
        .bin_name(format!("cargo bench -p benchmarks --bench {benchmark} --"))
        .mut_arg("names", |names| names.value_name(name).value_parser(all))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(arguments: &str) -> Result<Options, clap::Error> {
        let words = ["peers"].into_iter().chain(arguments.split_whitespace());
        let matches = command("peers", "ROW", &["lock", "queue"]).try_get_matches_from(words)?;
        Options::from_arg_matches(&matches)
    }

    #[test]
    fn without_a_number_of_rounds_there_are_five_or_a_quick_one() -> Result<()> {
        let rounds = |arguments| parsed(arguments).map(|options| options.rounds());
        assert_eq!(rounds("")?, 5);
        assert_eq!(rounds("--quick")?, 1);
        assert_eq!(rounds("--quick --rounds=3")?, 3);
        assert!(rounds("--rounds 0").is_err());
        Ok(())
    }

    #[test]
    fn all_is_measured_unless_some_are_named() -> Result<()> {
        assert!(parsed("")?.names("lock"));
        let options = parsed("queue --bench")?;
        assert!(options.names("queue") && !options.names("lock"));
        let unknown = parsed("locks").expect_err("no such row").to_string();
        assert!(unknown.contains("lock, queue"), "{unknown}");
        Ok(())
    }
}
