//! What the chapter's programs print.

use std::collections::BTreeMap;

use testing::{
    Claim, assert_output, chain, exact, example, examples, interrupt, into_broken_pipe, masked,
    python, run,
};

/// Checks all that is said of the items, and claims the end.
fn producers_and_consumers(output: &str) -> Claim {
    let (work, end) = output.split_at(output.find("The consumers got").unwrap_or(output.len()));

    let mut made_by = Vec::new(); // of the items 1, 2, 3, ...
    let mut consumed = BTreeMap::from([("1", Vec::new()), ("2", Vec::new())]);
    for line in work.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let item = words.last().and_then(|word| word.parse().ok()).unwrap_or(0);
        match words[..] {
            ["producer", index, "produced", _] => {
                made_by.push(index);
                assert_eq!(made_by.len(), item, "the lock is around the number: {line}");
            }
            ["consumer", index, "consumed", _] => {
                assert!((1..=made_by.len()).contains(&item), "too early: {line}");
                consumed.entry(index).or_default().push(item);
            }
            _ => panic!("a mixed line: {line}"),
        }
    }

    for producer in ["1", "2"] {
        let is_its = |item: usize| made_by[item - 1] == producer;
        assert_eq!((1..=2000).filter(|&item| is_its(item)).count(), 1000);
        for items in consumed.values() {
            let in_order = items.iter().filter(|&&item| is_its(item)).is_sorted();
            assert!(in_order, "of producer {producer}: {items:?}");
        }
    }

    let mut counts: Vec<usize> = consumed.values().map(Vec::len).collect();
    let mut all = consumed.into_values().collect::<Vec<_>>().concat();
    all.sort_unstable();
    assert!(all.into_iter().eq(1..=2000), "each item is consumed once");

    let said = end.lines().next().unwrap_or_default();
    let mut said_counts: Vec<usize> = said
        .split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect();
    counts.sort_unstable();
    said_counts.sort_unstable();
    assert_eq!(said_counts, counts, "{said}");
    let end = masked("got ", "[some]", end);
    masked("and ", "[others]", end)
}

#[test]
fn main_program() {
    let output = run(env!("CARGO_BIN_EXE_02-queue")).success();
    assert_output!(producers_and_consumers(&output));
}

#[test]
fn python_main_program() {
    if let Some(output) = python("queue_and_value") {
        assert_output!("main_program", producers_and_consumers(&output.success()));
    }
}

#[test]
fn pipe() {
    assert_output!(exact(run(example("pipe")).success()));
}

#[test]
fn ipc_channel() {
    assert_output!(exact(run(example("ipc_channel")).success()));
}

#[test]
fn join_before_drain() {
    assert_output!(exact(run(example("join_before_drain")).success()));
}

#[test]
fn no_end() {
    assert_output!(exact(run(example("no_end")).success()));
}

#[test]
fn scope() {
    let output = run(example("scope")).success();
    // Said where the system keeps the memory of those who abort (`ulimit -c`).
    assert_output!(exact(output.replace(" (core dumped)", "")));
}

#[test]
fn dead_producer() {
    assert_output!(chain(run(example("dead_producer")).success()));
}

#[test]
fn dead_stage() {
    assert_output!(chain(run(example("dead_stage")).success()));
}

#[test]
fn poll() {
    assert_output!(exact(run(example("poll")).success()));
}

#[test]
fn queue_after_fork() {
    assert_output!(exact(run(example("queue_after_fork")).success()));
}

#[test]
fn python_queue_after_fork() {
    if let Some(output) = python("queue_after_fork") {
        assert_output!("queue_after_fork", exact(output.success()));
    }
}

#[test]
fn python_join_before_drain() {
    if let Some(output) = python("join_before_drain") {
        assert_output!(exact(output.success()));
    }
}

#[test]
fn python_no_end() {
    if let Some(output) = python("no_end") {
        let output = output.success();
        let last = output.split_whitespace().rev().nth(3).unwrap_or_default();
        let wrong: u32 = last.parse().expect("a number of tries");
        assert!(
            (1..=300).contains(&wrong),
            "empty() is wrong at times: {output}"
        );
        assert_output!(masked("it was empty in ", "[some]", output));
    }
}

#[test]
fn python_dead_stage() {
    if let Some(output) = python("dead_stage") {
        assert_output!(exact(output.success()));
    }
}

#[test]
fn ctrl_c_ends_them() {
    interrupt(env!("CARGO_BIN_EXE_02-queue"));
    examples().into_iter().for_each(interrupt);
}

#[test]
fn a_broken_pipe_ends_them() {
    into_broken_pipe(env!("CARGO_BIN_EXE_02-queue"));
    examples().into_iter().for_each(into_broken_pipe);
}
