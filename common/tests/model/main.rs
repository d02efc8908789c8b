//! The ring's algorithm, apart from processes: the real `cursor.rs` and `ring.rs` over loom's
//! atomics, run in every order of their steps.
//!
//! Beside this file are stand-ins for the modules that the two use. A process is a thread here;
//! one that is killed stops between two steps, and its locks say so to their next owners. Sleeps
//! are without limit, so a lost wake-up is a deadlock, except where a scenario is about the limit.
//!
//! Bounds: at most three threads and four records, and with three threads at most three
//! preemptions, two where there are faults; a switch where a thread has to wait is none. Positions
//! start at zero, and nothing has a deadline.
//!
//! The second half breaks the algorithm, or what it stands on, and expects loom to find it.

#![allow(clippy::unwrap_used, missing_docs)]

mod atomic;
mod deadline;
mod futex;
mod memory;
mod mutex;
mod patience;
mod stage;

#[allow(dead_code, clippy::reversed_empty_ranges)]
#[path = "../../src/cursor.rs"]
mod cursor;
#[allow(dead_code, clippy::reversed_empty_ranges)]
#[path = "../../src/ring.rs"]
mod ring;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering::SeqCst};

use loom::thread;

use cursor::Cursor;
use deadline::{Deadline, LONGEST_SLEEP};
use ring::{Ring, RingError, Taker};
use stage::{Mutation, Stage, mortal, victim_moved};

/// Fills the smallest ring.
const WHOLE_RING: usize = 60;

/// How often loom preempts a thread in one run, at most: of two threads as often as it likes,
/// of three threads so often, or fewer where a sleep may end early or one of them is killed.
/// `LOOM_MAX_PREEMPTIONS` sets another bound for all.
const TWO_THREADS: Option<usize> = None;
const THREE_THREADS: Option<usize> = Some(3);
const FAULTS: Option<usize> = Some(2);

/// Runs the scenario in every order of its steps within the bound.
fn check(bound: Option<usize>, stage: Stage, scenario: impl Fn() + Send + Sync + 'static) {
    let mut loom = loom::model::Builder::new();
    loom.preemption_bound = loom.preemption_bound.or(bound);
    loom.check(move || {
        stage.set();
        scenario();
    });
}

fn normal(bound: Option<usize>, scenario: fn()) {
    check(bound, Stage::default(), scenario);
}

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

fn ring() -> Arc<Ring> {
    Arc::new(Ring::new(WHOLE_RING).unwrap())
}

/// A record that tells whether it is torn.
fn record(number: u8, len: usize) -> Vec<u8> {
    vec![number; len]
}

fn put(ring: &Ring, number: u8, len: usize) -> Result<(), RingError> {
    ring.put(&record(number, len), Deadline::NEVER)
}

/// Takes a record, whole; `None` at the end.
fn get(ring: &Ring) -> Option<u8> {
    get_as(&(), ring)
}

fn get_as(taker: &impl Taker, ring: &Ring) -> Option<u8> {
    let mut bytes = Vec::new();
    match ring.get(&mut bytes, Deadline::NEVER, taker) {
        Ok(()) => {
            let number = bytes[0];
            assert!(bytes.iter().all(|&byte| byte == number), "a torn record");
            Some(number)
        }
        Err(RingError::Closed) => None,
        Err(error) => panic!("{error}"),
    }
}

fn spawn<R: 'static>(
    ring: &Arc<Ring>,
    work: impl FnOnce(&Ring) -> R + 'static,
) -> thread::JoinHandle<R> {
    let ring = Arc::clone(ring);
    thread::spawn(move || work(&ring))
}

/// The consumer sleeps before the first record, between the two, or not at all.
fn producer_and_consumer() {
    let ring = ring();
    let producer = spawn(&ring, |ring| {
        put(ring, 1, 5).unwrap();
        put(ring, 2, 3).unwrap();
    });
    assert_eq!(get(&ring), Some(1));
    assert_eq!(get(&ring), Some(2));
    producer.join().unwrap();
}

/// One record wakes one consumer; the end wakes all.
fn two_consumers_and_close() {
    let ring = ring();
    let consumers = [0; 2].map(|_| spawn(&ring, |ring| get(ring).map(|it| (it, get(ring)))));
    put(&ring, 1, 4).unwrap();
    ring.close();
    let got = consumers.map(|consumer| consumer.join().unwrap());
    assert!(
        got == [Some((1, None)), None] || got == [None, Some((1, None))],
        "{got:?}"
    );
}

/// Two records wake two consumers.
fn two_consumers_two_records() {
    let ring = ring();
    let consumers = [0; 2].map(|_| spawn(&ring, get));
    put(&ring, 1, 4).unwrap();
    put(&ring, 2, 4).unwrap();
    let mut got = consumers.map(|consumer| consumer.join().unwrap());
    got.sort();
    assert_eq!(got, [Some(1), Some(2)]);
}

/// Producers exclude each other.
fn two_producers() {
    let ring = ring();
    let producers = [1, 2].map(|number| spawn(&ring, move |ring| put(ring, number, 4).unwrap()));
    let mut got = [get(&ring), get(&ring)];
    got.sort();
    assert_eq!(got, [Some(1), Some(2)]);
    for producer in producers {
        producer.join().unwrap();
    }
}

/// The producer waits until the whole ring is free.
fn full_ring() {
    let ring = ring();
    put(&ring, 1, WHOLE_RING).unwrap();
    let producer = spawn(&ring, |ring| put(ring, 2, WHOLE_RING).unwrap());
    assert_eq!(get(&ring), Some(1));
    assert_eq!(get(&ring), Some(2));
    producer.join().unwrap();
}

/// One record taken makes room for both.
fn two_producers_at_a_full_ring() {
    let ring = ring();
    put(&ring, 0, WHOLE_RING).unwrap();
    let producers = [1, 2].map(|number| spawn(&ring, move |ring| put(ring, number, 4).unwrap()));
    assert_eq!(get(&ring), Some(0));
    for producer in producers {
        producer.join().unwrap();
    }
    let mut got = [get(&ring), get(&ring)];
    got.sort();
    assert_eq!(got, [Some(1), Some(2)]);
}

/// The end reaches a producer at a full ring and a consumer at an empty one. What was put before
/// it is still there.
fn close_while_both_sides_wait() {
    let (full, empty) = (ring(), ring());
    put(&full, 1, WHOLE_RING).unwrap();
    let producer = spawn(&full, |full| put(full, 2, WHOLE_RING));
    let consumer = spawn(&empty, get);
    full.close();
    empty.close();
    assert!(matches!(producer.join().unwrap(), Err(RingError::Closed)));
    assert_eq!(consumer.join().unwrap(), None);
    assert_eq!((get(&full), get(&full)), (Some(1), None));
}

/// A consumer that never sleeps, so that nothing but the positions tells it what it may read.
fn consumer_that_looks() {
    let ring = ring();
    let producer = spawn(&ring, |ring| put(ring, 1, 5).unwrap());
    while ring.is_empty() {
        thread::yield_now();
    }
    assert_eq!(get(&ring), Some(1));
    producer.join().unwrap();
}

/// The end at any moment of a put and a get.
fn close_amid() {
    let ring = ring();
    put(&ring, 1, WHOLE_RING).unwrap();
    let producer = spawn(&ring, |ring| put(ring, 2, WHOLE_RING).is_ok());
    let consumer = spawn(&ring, get);
    ring.close();
    let put = producer.join().unwrap();
    assert_eq!(consumer.join().unwrap(), Some(1));
    assert_eq!(get(&ring), put.then_some(2));
}

/// Who has seen the end has seen every record that was put.
fn close_while_putting() {
    let ring = ring();
    let producer = spawn(&ring, |ring| put(ring, 1, 4).is_ok());
    let consumer = spawn(&ring, |ring| get(ring).map(|it| (it, get(ring))));
    ring.close();
    let put = producer.join().unwrap();
    assert_eq!(consumer.join().unwrap(), put.then_some((1, None)));
}

#[test]
fn a_wait_for_a_record() {
    normal(TWO_THREADS, producer_and_consumer);
    normal(TWO_THREADS, consumer_that_looks);
}

#[test]
fn a_wait_of_two_consumers() {
    normal(THREE_THREADS, two_consumers_and_close);
    normal(THREE_THREADS, two_consumers_two_records);
}

#[test]
fn a_wait_of_producers() {
    normal(TWO_THREADS, full_ring);
    normal(THREE_THREADS, two_producers);
    normal(THREE_THREADS, two_producers_at_a_full_ring);
}

#[test]
fn an_end_while_others_wait() {
    normal(THREE_THREADS, close_while_both_sides_wait);
    normal(THREE_THREADS, close_amid);
    normal(THREE_THREADS, close_while_putting);
}

/// A signal, or the limit of a sleep, at any moment: no wake-up is lost with it.
#[test]
fn a_sleep_that_ends_early() {
    let early = Stage {
        early: 2,
        ..Stage::default()
    };
    check(FAULTS, early, producer_and_consumer);
    check(FAULTS, early, two_consumers_two_records);
    check(FAULTS, early, two_producers_at_a_full_ring);
}

/// Runs the scenario with its victim killed before its first step, its second, and so on, until
/// it has none left.
fn kill_at_each_step(stage: Stage, scenario: fn() -> bool) {
    for step in 0.. {
        let killed = Arc::new(AtomicBool::new(false));
        let note = Arc::clone(&killed);
        let stage = Stage {
            kill_at: Some(step),
            ..stage
        };
        check(FAULTS, stage, move || {
            note.fetch_or(scenario(), SeqCst);
        });
        if !killed.load(SeqCst) {
            assert!(step > 5, "a victim of {step} steps only");
            return;
        }
    }
}

/// The victim's record is there whole, once, or not at all, and its consumer learns of it.
fn producer_killed() -> bool {
    let ring = ring();
    let victim = spawn(&ring, |ring| mortal(|| put(ring, 1, 5)).is_none());
    let consumer = spawn(&ring, get);
    let killed = victim.join().unwrap();
    let published = victim_moved();
    if !published {
        put(&ring, 2, 5).unwrap();
    }
    assert_eq!(consumer.join().unwrap(), Some(2 - u8::from(published)));
    assert!(ring.is_empty());
    killed
}

/// What the victim says that it has in hand, zero for nothing.
#[derive(Clone, Default)]
struct Hand(Arc<AtomicU8>);

struct Victim(Hand);

impl Taker for Victim {
    fn claim(&self, record: &[u8]) {
        stage::step();
        self.0.0.store(record[0], SeqCst);
    }
}

impl Taker for Hand {
    fn disclaim(&self, record: &[u8]) {
        let _ = self.0.compare_exchange(record[0], 0, SeqCst, SeqCst);
    }
}

/// The victim takes a record from the ring, and then has it in hand, or leaves it to the other
/// consumer. Whoever takes one puts another, since the victim may be waiting still; 3 is what the
/// victim's heir puts.
fn consumer_killed() -> bool {
    let (ring, hand) = (ring(), Hand::default());
    let victim = Victim(hand.clone());
    let victim = spawn(&ring, move |ring| {
        let killed = mortal(|| get_as(&victim, ring)).is_none();
        if victim_moved() {
            put(ring, 3, 5).unwrap();
        }
        killed
    });
    let others = hand.clone();
    let survivor = spawn(&ring, move |ring| {
        let got = get_as(&others, ring);
        if got == Some(1) {
            put(ring, 2, 5).unwrap();
        }
        got
    });
    put(&ring, 1, 5).unwrap();
    let killed = victim.join().unwrap();
    let got = survivor.join().unwrap();
    ring.close();
    let left: Vec<u8> = std::iter::from_fn(|| get_as(&hand, &ring)).collect();
    let (left, in_hand): (&[u8], u8) = (&left, hand.0.load(SeqCst));
    match (got, victim_moved()) {
        (Some(1), false) => assert_eq!((left, in_hand), (&[2][..], 0)),
        (Some(1), true) => assert_eq!((left, in_hand), (&[3][..], 2)),
        (Some(3), true) => assert_eq!((left, in_hand), (&[][..], 1)),
        other => panic!("{other:?}"),
    }
    killed
}

/// A producer waits for the room that the victim makes.
fn consumer_killed_at_a_full_ring() -> bool {
    let ring = ring();
    put(&ring, 1, WHOLE_RING).unwrap();
    let victim = spawn(&ring, |ring| mortal(|| get(ring)).is_none());
    let producer = spawn(&ring, |ring| put(ring, 2, WHOLE_RING).unwrap());
    let killed = victim.join().unwrap();
    if !victim_moved() {
        assert_eq!(get(&ring), Some(1));
    }
    assert_eq!(get(&ring), Some(2));
    producer.join().unwrap();
    killed
}

#[test]
fn a_producer_is_killed() {
    kill_at_each_step(Stage::default(), producer_killed);
}

#[test]
fn a_consumer_is_killed() {
    kill_at_each_step(Stage::default(), consumer_killed);
    kill_at_each_step(Stage::default(), consumer_killed_at_a_full_ring);
}

/// Moves and wakes in this order, or in the other.
fn mover_and_waiter(wake_first: bool) {
    let cursor = Arc::new(Cursor::default());
    let waiter = {
        let cursor = Arc::clone(&cursor);
        thread::spawn(move || {
            cursor.wait(Deadline::NEVER, LONGEST_SLEEP, |position| {
                position.offset() == 4
            })
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
