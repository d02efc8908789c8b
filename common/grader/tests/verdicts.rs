//! Small programs that hang, burn, crash, fork, leak or flood, each with its verdict; and for each
//! one that looks like it, and is right.
//!
//! A program in `programs/` says its verdict in its first line; then come lines of the report that
//! it must have, if any, as `evidence`, and the rest of an `exercise.toml`.

#![allow(clippy::unwrap_used, missing_docs)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use grader::build::Crates;
use grader::course::Spec;
use grader::run::Runner;
use grader::{family, judge};

/// What is the same for all.
const HEAD: &str = r#"
number = "0.0"
title = "A program"
minutes = 1
starter = "WRONG"
read = "queue.html#the-end"
compare = "it"
"#;

/// Without libtest, which has threads: the grader waits for all children of this process.
fn main() -> ExitCode {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap();
    let crates = Crates::build(&root).unwrap();
    let filter = std::env::args()
        .nth(1)
        .filter(|it| !it.starts_with('-'))
        .unwrap_or_default();
    let mut programs: Vec<PathBuf> = fs::read_dir("tests/programs")
        .unwrap()
        .map(|it| it.unwrap().path())
        .collect();
    programs.sort();
    let mut failed = 0;
    let runner = Runner::new(env!("CARGO_BIN_EXE_grade").into()).unwrap();
    for source in programs
        .iter()
        .filter(|it| it.to_str().unwrap().contains(&filter))
    {
        let name = source.file_stem().unwrap().display().to_string();
        let text = fs::read_to_string(source).unwrap();
        let head = text.lines().map_while(|line| line.strip_prefix("//!"));
        let mut head = head.map(str::trim);
        let stated = head.next().unwrap().to_owned();
        let (evidence, spec): (Vec<&str>, Vec<&str>) =
            head.partition(|line| line.starts_with("evidence: "));
        let spec: Spec = toml::from_str(&(HEAD.to_owned() + &spec.join("\n"))).unwrap();
        let program = runner.scratch().join("program");
        crates
            .compile(&root.join("common/grader").join(source), &program)
            .unwrap()
            .unwrap();
        let start = std::time::Instant::now();
        let report = judge::judge(&runner, &spec, &program, &|_| ()).unwrap();
        let all = report.to_string();
        let said = |line: &&str| all.contains(line.trim_start_matches("evidence: "));
        let left = !family::family().is_empty();
        if report.verdict.to_string() == stated && evidence.iter().all(said) && !left {
            println!("test {name} ... ok");
        } else {
            failed += 1;
            println!("test {name} ... FAILED: {stated}, left {left}\n{all}");
        }
        if std::env::var_os("TIMES").is_some() {
            println!("     {:?} for {} runs", start.elapsed(), report.runs);
        }
    }
    ExitCode::from(u8::from(failed > 0))
}
