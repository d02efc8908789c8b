//! The points where something may look on, or step in: before and after what a process does to
//! others. While nobody does, a point is a look at one word.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

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

const BEFORE: usize = 0;
const AFTER: usize = 1;

/// Whether somebody watches, or nobody knows yet. A child has a copy.
static WATCHED: AtomicBool = AtomicBool::new(true);

/// The point before an act, and the one after it when this is dropped.
#[inline]
pub(crate) fn around(act: Act) -> Around {
    point(act, BEFORE);
    Around(act)
}

/// While it exists, the act goes on.
pub(crate) struct Around(Act);

impl Drop for Around {
    #[inline]
    fn drop(&mut self) {
        point(self.0, AFTER);
    }
}

/// In a child: it comes out of the spawn, as its parent does.
pub(crate) fn born(name: &str) {
    if WATCHED.load(Relaxed) {
        chaos::born(name, number(Act::Spawn, BEFORE));
        point(Act::Spawn, AFTER);
    }
}

#[inline]
fn point(act: Act, side: usize) {
    if WATCHED.load(Relaxed) {
        watched(number(act, side));
    }
}

#[cold]
fn watched(point: usize) {
    if !chaos::at(point) {
        WATCHED.store(false, Relaxed);
    }
}

fn number(act: Act, side: usize) -> usize {
    2 * act as usize + side
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_watches_who_was_not_asked() {
        drop(around(Act::Lock));
        let asked = std::env::var_os("MP_CHAOS").is_some();
        assert_eq!(WATCHED.load(Relaxed), asked);
    }

    #[test]
    fn each_point_has_a_number() {
        assert_eq!(number(Act::Spawn, AFTER), chaos::POINTS - 1);
    }
}
