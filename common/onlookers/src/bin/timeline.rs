//! Makes a picture of a run from the record that `MP_TRACE` has made of it.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use clap::{Parser, value_parser};
use common::trace::Trace;
use onlookers::run::Run;
use onlookers::view::{Choice, STEPS, View};
use onlookers::{chrome, drawing, words};

/// Makes of a record, `run.trace`, a picture of the run, `run.svg`, and what Perfetto shows,
/// `run.json`, beside it.
///
/// In the picture, each process has a row. Its steps, at which something begins or ends, are equally
/// wide, and the text below says where more time has passed.
#[derive(Parser)]
struct Options {
    /// The record: what `MP_TRACE` named when the program ran.
    record: PathBuf,
    /// Leaves out of the picture what is done with objects of this kind: lock, value, queue, pipe.
    #[arg(long, value_name = "KIND")]
    hide: Vec<String>,
    /// Shows at most so many steps.
    #[arg(long, default_value_t = STEPS as u64, value_parser = value_parser!(u64).range(1..))]
    steps: u64,
    /// Leaves out so many steps at the beginning. Without it: of a long run it shows where most goes
    /// from one process to another.
    #[arg(long)]
    skip: Option<usize>,
    /// Shows nothing behind the end of the process with this name.
    #[arg(long, value_name = "NAME")]
    until: Option<String>,
    /// Makes each step as wide as it took long, and draws no arrows.
    #[arg(long)]
    to_scale: bool,
    /// Prints the same in sentences, too.
    #[arg(long)]
    words: bool,
}

fn main() -> Result<()> {
    common::end_on_broken_pipe();
    let options = Options::parse();
    let record = &options.record;
    let trace = Trace::open(record).with_context(|| {
        let name = record.display();
        format!("{name}: name a file that MP_TRACE has made, as in MP_TRACE={name} PROGRAM")
    })?;
    for ending in ["svg", "json"] {
        let name = record.display();
        ensure!(
            record.with_extension(ending) != *record,
            "{name}: here the picture is to be, so give the record another name, as in {name}.trace"
        );
    }
    let run = Run::of(trace.events());
    if let Some(until) = &options.until {
        let names: Vec<&str> = run.processes.iter().map(|it| it.name.as_str()).collect();
        ensure!(
            names.contains(&until.as_str()),
            "--until {until:?}: no process has this name, but {names:?}"
        );
    }
    let choice = Choice {
        hidden: options.hide,
        skip: options.skip,
        steps: usize::try_from(options.steps)?,
        until: options.until,
        is_to_scale: options.to_scale,
    };
    let stem = record.file_stem().unwrap_or_default().to_string_lossy();
    if options.words {
        for sentence in words::all(&View::of(&run, &choice)) {
            println!("{sentence}");
        }
    }
    let name = stem.replace(|c: char| !c.is_ascii_alphanumeric(), "-");
    let picture = drawing::draw(&run, &choice, &name, &stem);
    let files = [
        ("svg", picture, "for a browser"),
        ("json", chrome::trace(&run), "for https://ui.perfetto.dev"),
    ];
    for (ending, content, what_for) in files {
        let path = record.with_extension(ending);
        let name = path.display();
        fs::write(&path, content).with_context(|| format!("cannot write {name}"))?;
        println!("{name}: {what_for}");
    }
    if let more @ 1.. = trace.dropped() {
        let room = trace.len();
        println!(
            "{more} events have found no room: run it with MP_TRACE_EVENTS={}",
            2 * room
        );
    }
    Ok(())
}
