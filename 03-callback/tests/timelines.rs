//! The pictures of the book are drawn from runs. That these programs still tell the same story.

#![allow(clippy::unwrap_used, missing_docs)]

use std::process::Command;

use common::trace::{Act, ObjectId, Outcome};
use onlookers::run::{Doing, Run};
use testing::{Program, example};

fn run(name: &str) -> Run {
    let program = Command::new(example(name));
    let (output, run) = Run::record(program, |it| Program::start(it).wait()).unwrap();
    output.success();
    run
}

/// Both find the same number, and one of them writes over what the other one has left.
#[test]
fn lost_update() {
    let run = run("lost_update");
    let holds = run.holds("value");
    for (before, round) in (0..).zip(holds[..400].chunks(4)) {
        let [one, other, first, second] = round else {
            panic!("{round:?}")
        };
        let (read, sum) = (Some(before), Some(before + 1));
        assert!(one.0 != other.0 && first.0 != second.0, "{round:?}");
        assert!((one.2, one.3) == (read, read) && (other.2, other.3) == (read, read));
        assert!((first.2, first.3) == (read, sum) && (second.2, second.3) == (sum, sum));
    }
}

/// In the first half, each waits for what the other one holds, in vain. In the second, both take the
/// same lock first.
#[test]
fn lock_order() {
    let run = run("lock_order");
    let of = |name: &str| run.processes.iter().position(|it| it.name == name).unwrap();
    let held = |name: &str| -> Vec<ObjectId> {
        let holds = run.holds("value").into_iter();
        holds
            .filter(|hold| hold.0 == name)
            .map(|hold| hold.1)
            .collect()
    };
    let waits = |name: &str| {
        let bars = run.bars.iter().filter(|bar| bar.process == of(name));
        let mut waits = bars.filter_map(|bar| match bar.doing {
            Doing::Act {
                act: Act::Lock,
                object,
                outcome: Some(Outcome::TimedOut),
                waits: true,
                ..
            } => Some((object.unwrap(), bar.from, bar.to)),
            _ => None,
        });
        waits.next().unwrap()
    };
    let (one, two) = (waits("one"), waits("two"));
    assert_eq!((held("one"), held("two")), (vec![two.0], vec![one.0]));
    for ((lock, from, to), holder) in [(one, of("two")), (two, of("one"))] {
        assert_eq!([from, to].map(|at| run.holder(lock, at)), [Some(holder); 2]);
    }
    assert_eq!(held("one (2nd)"), held("two (2nd)"));
    assert_eq!(held("one (2nd)").len(), 2);
}
