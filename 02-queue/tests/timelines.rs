//! The pictures of the book are drawn from runs. That these programs still tell the same story.

#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::BTreeSet;
use std::process::Command;

use onlookers::run::{Going, Run};
use testing::Program;

/// Each producer finds the number that the one before it has left, and what it puts on the queue goes
/// to a consumer.
#[test]
fn main_program() {
    let mut program = Command::new(env!("CARGO_BIN_EXE_02-queue"));
    program.env("MP_CHAOS", "1");
    let (output, run) = Run::record(program, |it| Program::start(it).wait()).unwrap();
    output.success();
    let mut next = 0;
    let mut producers = BTreeSet::new();
    for (name, _, found, left) in run.holds("value") {
        assert_eq!(found, Some(next));
        if name == "main" {
            continue;
        }
        next += 1;
        assert_eq!(left, Some(next));
        producers.insert(name);
    }
    assert_eq!((next, producers.len()), (2000, 2));
    let name = |process: usize| run.processes[process].name.as_str();
    let items = run
        .arrows
        .iter()
        .filter(|it| matches!(it.what, Going::Item(_)));
    let mut count = 0;
    for item in items {
        let (from, to) = (name(item.from.process), name(item.to.process));
        match to {
            "main" => assert!(from.starts_with("consumer ")),
            _ => {
                assert!(from.starts_with("producer ") && to.starts_with("consumer "));
                count += 1;
            }
        }
    }
    assert_eq!(count, 2000);
    let handed = |what| matches!(what, Going::Lock(lock) if run.kind(lock) == "lock");
    let turns = run.arrows.iter().filter(|it| handed(it.what)).count();
    assert!(turns > 20, "{turns} times from one to the other");
}
