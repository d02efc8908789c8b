//! In place of `common`'s `futex`. A sleep has no end but a wake-up, unless the scenario says so:
//! a lost wake-up is a deadlock, which loom reports.

use std::time::Duration;

use crate::atomic::AtomicU32;
use crate::stage::{Mutation, Outcome, mutated};

pub fn wait(word: &AtomicU32, expected: u32, _limit: Duration) -> bool {
    word.sleep_while(expected) == Outcome::Woken && !mutated(Mutation::SubtractedTwice)
}

pub fn wake(word: &AtomicU32, count: i32) -> u32 {
    let count = if mutated(Mutation::WakesOne) {
        1
    } else {
        count
    };
    word.wake(count as usize)
}
