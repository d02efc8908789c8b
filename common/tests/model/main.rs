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
//! `waits.rs` and `kills.rs` have the scenarios; `found.rs` breaks the algorithm, or what it stands
//! on, and expects loom to find it.

#![allow(clippy::unwrap_used, missing_docs)]

mod asleep;
mod atomic;
mod deadline;
mod futex;
mod memory;
mod mutex;
mod object;
mod patience;
mod stage;

mod found;
mod kills;
mod waits;

#[allow(dead_code, clippy::reversed_empty_ranges)]
#[path = "../../src/cursor.rs"]
mod cursor;
#[allow(dead_code, clippy::reversed_empty_ranges)]
#[path = "../../src/ring.rs"]
mod ring;

use std::sync::Arc;

use loom::thread;

use deadline::Deadline;
use object::Object;
use ring::{Ring, RingError, Taker};
use stage::Stage;

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

fn ring() -> Arc<Ring> {
    Arc::new(Ring::new(WHOLE_RING, Object).unwrap())
}

/// A record that tells whether it is torn.
fn record(number: u8, len: usize) -> Vec<u8> {
    vec![number; len]
}

fn put(ring: &Ring, number: u8, len: usize) -> Result<(), RingError> {
    ring.put(&record(number, len), Deadline::NEVER).map(drop)
}

/// Takes a record, whole; `None` at the end.
fn get(ring: &Ring) -> Option<u8> {
    get_as(&(), ring)
}

fn get_as(taker: &impl Taker, ring: &Ring) -> Option<u8> {
    let mut bytes = Vec::new();
    match ring.get(&mut bytes, Deadline::NEVER, taker) {
        Ok(_) => {
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
