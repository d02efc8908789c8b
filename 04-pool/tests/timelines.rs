//! The pictures of the book are drawn from runs. That these programs still tell the same story.

#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use common::trace::{Act, Outcome};
use onlookers::run::{Bar, Doing, End, Run};
use testing::{Program, example};

fn run(program: Command) -> Run {
    let (output, run) = Run::record(program, |it| Program::start(it).wait()).unwrap();
    output.success();
    run
}

/// Which worker has which task.
fn tasks(run: &Run) -> BTreeMap<u32, &str> {
    let tasks = run.bars.iter().filter_map(|bar| match bar.doing {
        Doing::Task(number) => Some((number, run.processes[bar.process].name.as_str())),
        _ => None,
    });
    tasks.collect()
}

/// Four tasks, and forty turns at the manager's lock.
#[test]
fn main_program() {
    let run = run(Command::new(env!("CARGO_BIN_EXE_04-pool")));
    assert!(tasks(&run).keys().eq(&[1, 2, 3, 4]));
    let turns = run.holds("lock of the manager");
    assert_eq!(turns.len(), 40);
    let services = run.services.iter();
    let values = services.filter(|it| run.kind(it.object) == "value of the manager");
    // A get and a set for each, a get at the end of each task, and the parent's.
    assert_eq!(values.count(), 2 * 40 + 4 + 1);
    let holds = run
        .bars
        .iter()
        .filter(|bar| matches!(bar.doing, Doing::Hold { .. }));
    assert!(holds.is_sorted_by(|one, other| one.to < other.from));
}

/// The worker that had task 3 dies in it, another one with its name takes its place, and the parent
/// is told of all eight.
#[test]
fn killed_worker() {
    let run = run(Command::new(example("killed_worker")));
    let tasks = tasks(&run);
    let victim = tasks[&3];
    let bar = run
        .bars
        .iter()
        .find(|bar| matches!(bar.doing, Doing::Task(3)))
        .unwrap();
    let (end, how) = run.processes[bar.process].end.unwrap();
    assert!(matches!(how, End::Status(status) if !status.success()));
    assert_eq!(bar.to, end);
    let second = format!("{victim} (2nd)");
    let second = run.processes.iter().find(|it| it.name == second).unwrap();
    assert!(end < second.born);
    // These two wait for each other, so different workers have them.
    assert_ne!(tasks[&7], tasks[&8]);
    assert!(tasks[&7] != victim && tasks[&8] != victim);
    let told = run.bars.iter().filter_map(|bar| match bar.doing {
        Doing::Act {
            act: Act::Call,
            item,
            ..
        } => item,
        _ => None,
    });
    assert_eq!(told.collect::<BTreeSet<_>>(), (1..=8).collect());
}

/// Each row is painted once; and somebody who is ready waits until all are.
#[test]
fn mandelbrot() {
    let picture = tempfile::tempdir().unwrap();
    let mut program = Command::new(example("mandelbrot"));
    program.args(["--workers=4", "--size=4096x24", "--output"]);
    program.arg(picture.path().join("picture.png"));
    let run = run(program);
    let tasks = tasks(&run);
    assert_eq!(tasks.len(), 24);
    // Where others compute, too, a worker may come when all is done.
    assert!(tasks.values().collect::<BTreeSet<_>>().len() > 1);
    let of_tasks = run
        .bars
        .iter()
        .filter(|bar| matches!(bar.doing, Doing::Task(_)));
    let last = of_tasks.max_by_key(|bar| bar.to).unwrap();
    // Until there is no more to do, of which it may know before the last one says that it is ready.
    let is_over = |bar: &&Bar| match bar.doing {
        Doing::Act { act, outcome, .. } => act == Act::Get && outcome == Some(Outcome::Closed),
        _ => false,
    };
    let idle = run.bars.iter().filter(is_over);
    let idle = idle.filter(|bar| bar.is_wait() && bar.process != last.process);
    let idle = idle.filter(|bar| bar.from < last.to);
    let idle: BTreeSet<usize> = idle.map(|bar| bar.process).collect();
    let is_worker = |process: &&usize| run.processes[**process].name.starts_with("worker ");
    assert!(idle.iter().filter(is_worker).count() >= 1);
}
