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

/// Is before the act, and when the result is dropped, after it.
#[inline]
pub(crate) fn around(act: Act) -> impl Drop {
    let points = Points::of(act);
    points.before();
    Around(points)
}

struct Around(Points);

impl Drop for Around {
    #[inline]
    fn drop(&mut self) {
        self.0.after();
    }
}

/// The two points of an act that takes nanoseconds, with one look for both.
#[derive(Clone, Copy)]
pub(crate) struct Points {
    act: Act,
    are_watched: bool,
}

impl Points {
    #[inline]
    pub fn of(act: Act) -> Self {
        let are_watched = WATCHED.load(Relaxed) != 0;
        Points { act, are_watched }
    }

    #[inline]
    pub fn before(self) {
        if self.are_watched {
            watched(2 * self.act as usize);
        }
    }

    #[inline]
    pub fn after(self) {
        if self.are_watched {
            watched(2 * self.act as usize + 1);
        }
    }
}

/// In a child: it comes out of the spawn, as its parent does.
pub(crate) fn born(name: &str) {
    if WATCHED.load(Relaxed) != 0 {
        chaos::born(name, 2 * Act::Spawn as usize);
        Points::of(Act::Spawn).after();
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
