//! The course judges itself: every program in it gets the verdict that it is said to get.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result};

use crate::build::Crates;
use crate::course::Exercise;
use crate::judge;
use crate::run::Runner;

/// A program of an exercise, and what was said of it.
#[derive(Debug)]
pub struct Row {
    /// The exercise's number.
    pub exercise: String,
    /// `starter`, `solution`, or a wrong way's name.
    pub program: String,
    /// The verdict that it is said to get.
    pub stated: String,
    /// Those that it got, and how often.
    pub got: BTreeMap<String, u64>,
    /// The first report with another one.
    pub other: Option<String>,
}

impl Row {
    /// Whether it got the stated verdict each time.
    pub fn is_right(&self) -> bool {
        self.other.is_none()
    }
}

/// Judges all programs of an exercise, each so many times, and the solution as often as the second
/// number says.
///
/// # Errors
/// The system's, or a file that is missing.
pub fn check(
    runner: &Runner,
    crates: &Crates,
    exercise: &Exercise,
    (others, solution): (u64, u64),
    progress: &dyn Fn(&str),
) -> Result<Vec<Row>> {
    let program = |name: &str, stated: &str, text: String| (name.into(), stated.into(), text);
    let mut programs: Vec<(String, String, String)> = vec![
        program(
            "starter",
            &exercise.spec.starter,
            exercise.text("starter.rs")?,
        ),
        program("solution", "PASS", exercise.text("solution.rs")?),
    ];
    let wrong = exercise.wrong_ways()?;
    programs.extend(
        wrong
            .into_iter()
            .map(|it| (it.name, it.verdict, it.program)),
    );
    let mut rows = Vec::new();
    for (program, stated, text) in programs {
        let number = exercise.spec.number.clone();
        let source = runner.scratch().join(format!("{program}.rs"));
        fs::write(&source, text).context("cannot write the program")?;
        let binary = runner.scratch().join(&program);
        let is_built = crates.compile(&source, &binary)?;
        let mut row = Row {
            exercise: number,
            program,
            stated,
            got: BTreeMap::new(),
            other: None,
        };
        let times = if row.program == "solution" {
            solution
        } else {
            others
        };
        for time in 1..=times {
            let say = |what: &str| {
                progress(&format!(
                    "{} {}, {time} of {times}: {what}",
                    row.exercise, row.program
                ));
            };
            let report = match &is_built {
                Ok(()) => judge::judge(runner, &exercise.spec, &binary, &say)?,
                Err(message) => judge::not_built(&exercise.spec, message),
            };
            let word = report.verdict.word().to_owned();
            if word != row.stated && row.other.is_none() {
                row.other = Some(report.to_string());
            }
            *row.got.entry(word).or_default() += 1;
        }
        rows.push(row);
    }
    Ok(rows)
}
