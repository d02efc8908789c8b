//! The points where something may look on, or step in: before and after what a process does to
//! others. While nobody does, a point is a look at one word.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use crate::chaos;

/// What is between two points.
#[derive(Clone, Copy)]
pub(crate) enum Act {
    Lock,
    Unlock,
    Put,
    Get,
    Claim,
    Spawn,
}

const _: () = assert!(
    2 * Act::Spawn as usize + 1 < chaos::POINTS,
    "the last one is counted, too"
);

/// 0 once it is known that nobody watches. A child has a copy.
static WATCHED: AtomicU32 = AtomicU32::new(1);

#[inline]
pub(crate) fn before(act: Act) {
    point(2 * act as usize);
}

#[inline]
pub(crate) fn after(act: Act) {
    point(2 * act as usize + 1);
}

/// Is before the act, and when the result is dropped, after it. Not for what takes nanoseconds: it
/// made a lock and its unlock a fifth slower, where the two calls above can hardly be measured.
#[inline]
pub(crate) fn around(act: Act) -> impl Drop {
    before(act);
    Around(act)
}

struct Around(Act);

impl Drop for Around {
    #[inline]
    fn drop(&mut self) {
        after(self.0);
    }
}

/// In a child: it comes out of the spawn, as its parent does.
pub(crate) fn born(name: &str) {
    if WATCHED.load(Relaxed) != 0 {
        chaos::born(name, 2 * Act::Spawn as usize);
        after(Act::Spawn);
    }
}

#[inline]
fn point(number: usize) {
    if WATCHED.load(Relaxed) != 0 {
        watched(number);
    }
}

#[cold]
fn watched(number: usize) {
    if !chaos::at(number) {
        WATCHED.store(0, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_not_asked_looks_at_a_zero() {
        drop(around(Act::Spawn));
        let asked = std::env::var_os("MP_CHAOS").is_some();
        assert_eq!(WATCHED.load(Relaxed) != 0, asked);
    }
}
