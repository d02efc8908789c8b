//! The algorithm broken, or what it stands on: loom must find it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use loom::thread;

use super::{THREE_THREADS, TWO_THREADS, check};
use crate::cursor::{Cursor, Position};
use crate::deadline::{Deadline, LONGEST_SLEEP};
use crate::kills::*;
use crate::stage::{Mutation, Stage};
use crate::waits::*;

/// Expects loom to find the mutation in the scenario, and to say `what`.
fn finds(what: &str, stage: Stage, scenario: fn()) {
    finds_in(what, || check(THREE_THREADS, stage, scenario));
}

/// Expects loom to find that somebody waits for ever when a victim is killed at some step.
fn finds_when_killed(stage: Stage, scenario: fn() -> bool) {
    finds_in("deadlock", || kill_at_each_step(stage, scenario));
}

fn finds_in(what: &str, checks: impl FnOnce()) {
    let failure = catch_unwind(AssertUnwindSafe(checks)).expect_err("loom has found nothing");
    let said = match (
        failure.downcast_ref::<String>(),
        failure.downcast_ref::<&str>(),
    ) {
        (Some(text), _) => text,
        (_, Some(text)) => *text,
        _ => "",
    };
    assert!(said.contains(what), "loom has found something else: {said}");
}

fn mutation(mutation: Mutation) -> Stage {
    Stage {
        mutation: Some(mutation),
        ..Stage::default()
    }
}

/// Moves and wakes in this order, or in the other.
fn mover_and_waiter(wake_first: bool) {
    let cursor = Arc::new(Cursor::default());
    let waiter = {
        let cursor = Arc::clone(&cursor);
        thread::spawn(move || {
            let what = format_args!("a move");
            let moved = |position: Position| position.offset() == 4;
            cursor
                .wait(Deadline::NEVER, LONGEST_SLEEP, what, moved)
                .unwrap();
        })
    };
    if wake_first {
        cursor.wake(1);
        cursor.advance(4);
    } else {
        cursor.advance(4);
        cursor.wake(1);
    }
    waiter.join().unwrap();
}

#[test]
fn a_cursor_alone() {
    check(TWO_THREADS, Stage::default(), || mover_and_waiter(false));
}

#[test]
fn found_a_wake_up_before_the_move() {
    finds("deadlock", Stage::default(), || mover_and_waiter(true));
}

#[test]
fn found_a_sleeper_that_is_not_counted() {
    let stage = mutation(Mutation::UncountedSleeper);
    finds("deadlock", stage, || mover_and_waiter(false));
    finds("deadlock", stage, producer_and_consumer);
    finds("deadlock", stage, full_ring);
    finds("deadlock", stage, close_while_both_sides_wait);
}

#[test]
fn found_a_sleeper_that_is_subtracted_twice() {
    let stage = mutation(Mutation::SubtractedTwice);
    finds("deadlock", stage, two_consumers_two_records);
}

#[test]
fn found_weaker_orders() {
    let stage = mutation(Mutation::WeakOrder);
    finds("deadlock", stage, || mover_and_waiter(false));
    finds("deadlock", stage, producer_and_consumer);
}

#[test]
fn found_a_move_that_publishes_only_itself() {
    let stage = mutation(Mutation::RelaxedMove);
    finds("Causality violation", stage, consumer_that_looks);
}

#[test]
fn found_a_record_published_before_it_is_written() {
    let stage = mutation(Mutation::LateBytes);
    finds("Causality violation", stage, producer_and_consumer);
}

#[test]
fn found_a_futex_that_does_not_compare() {
    let stage = mutation(Mutation::NoCompare);
    finds("deadlock", stage, producer_and_consumer);
}

#[test]
fn found_one_woken_instead_of_all() {
    let stage = mutation(Mutation::WakesOne);
    finds("deadlock", stage, two_consumers_and_close);
    finds("deadlock", stage, two_producers_at_a_full_ring);
}

#[test]
fn found_locks_that_exclude_nobody() {
    finds(
        "Causality violation",
        mutation(Mutation::NoExclusion),
        two_producers,
    );
}

/// Without a limit, who waits for a process that was killed waits for ever.
#[test]
fn found_sleeps_without_limit() {
    let stage = mutation(Mutation::NoCap);
    finds_when_killed(stage, producer_killed);
    finds_when_killed(stage, consumer_killed);
    finds_when_killed(stage, consumer_killed_at_a_full_ring);
}

#[test]
fn found_locks_that_a_dead_owner_keeps() {
    finds_when_killed(mutation(Mutation::NotRobust), consumer_killed);
}
