//! The points where something may look on, or step in: before and after what a process does to
//! others. While nobody does, a point is a look at one word.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use crate::chaos;
use crate::deadline::Deadline;
use crate::trace::{self, ObjectId, Side};
pub(crate) use crate::trace::{Act, Outcome};

const _: () = assert!(
    number(Act::Spawn, Side::After) + 1 == chaos::POINTS,
    "those behind it are delayed by nobody"
);

const fn number(act: Act, side: Side) -> usize {
    2 * act as usize + side as usize
}

/// 0 once it is known that nobody watches. A child has a copy.
static WATCHED: AtomicU32 = AtomicU32::new(1);

/// What an error says of the act that it has ended.
pub(crate) trait Ending {
    fn outcome(&self) -> Outcome {
        Outcome::Failed
    }
}

/// Does something between its two points.
#[inline]
pub(crate) fn around<T, E: Ending>(
    act: Act,
    object: ObjectId,
    deadline: Deadline,
    body: impl FnOnce() -> Result<T, E>,
) -> Result<T, E> {
    around_with(act, object, deadline, body, |_| 0)
}

/// The same for what has a number, from 1 on, that the other side knows it by.
#[inline]
pub(crate) fn around_item<E: Ending>(
    act: Act,
    object: ObjectId,
    deadline: Deadline,
    body: impl FnOnce() -> Result<u32, E>,
) -> Result<(), E> {
    around_with(act, object, deadline, body, |&item| item).map(drop)
}

/// The same, and the number is asked of what comes of it.
#[inline]
pub(crate) fn around_with<T, E: Ending>(
    act: Act,
    object: ObjectId,
    deadline: Deadline,
    body: impl FnOnce() -> Result<T, E>,
    item: impl FnOnce(&T) -> u32,
) -> Result<T, E> {
    let points = Points::of(act, object, deadline);
    points.before();
    let result = body();
    match &result {
        Ok(done) => points.after_item(Outcome::Done, item(done)),
        Err(error) => points.after(error.outcome()),
    }
    result
}

/// What has come of a wait.
pub(crate) fn outcome<T, E>(waited: &Result<Option<T>, E>) -> Outcome {
    match waited {
        Ok(Some(_)) => Outcome::Done,
        Ok(None) => Outcome::TimedOut,
        Err(_) => Outcome::Failed,
    }
}

/// The two points of an act, with one look for both, since it may take nanoseconds.
#[derive(Clone, Copy)]
pub(crate) struct Points {
    act: Act,
    object: ObjectId,
    deadline: Deadline,
    are_watched: bool,
}

impl Points {
    #[inline]
    pub fn of(act: Act, object: ObjectId, deadline: Deadline) -> Self {
        let are_watched = WATCHED.load(Relaxed) != 0;
        Points {
            act,
            object,
            deadline,
            are_watched,
        }
    }

    #[inline]
    pub fn before(self) {
        self.at(None, || 0);
    }

    #[inline]
    pub fn after(self, outcome: Outcome) {
        self.at(Some(outcome), || 0);
    }

    #[inline]
    pub fn after_item(self, outcome: Outcome, item: u32) {
        self.at(Some(outcome), move || item);
    }

    /// Before it, or after it with an outcome; with a number that is asked for only if somebody
    /// watches.
    #[inline]
    pub fn at(self, outcome: Option<Outcome>, number: impl FnOnce() -> u32) {
        if self.are_watched {
            let limited = self.deadline.is_limited();
            watched(self.act, self.object, limited, outcome, number);
        }
    }
}

/// Takes no [`Points`], which a fast path would have to put into memory for it.
#[cold]
#[inline(never)]
fn watched(
    act: Act,
    object: ObjectId,
    limited: bool,
    outcome: Option<Outcome>,
    told: impl FnOnce() -> u32,
) {
    let is_traced = trace::at(act, object, limited, outcome, told());
    let side = outcome.map_or(Side::Before, |_| Side::After);
    let is_delayed = chaos::at(number(act, side));
    if !is_traced && !is_delayed {
        WATCHED.store(0, Relaxed);
    }
}

/// In a child: it comes out of the spawn, as its parent does.
pub(crate) fn born(name: &str) {
    if WATCHED.load(Relaxed) != 0 {
        trace::born(name);
        chaos::born(name, number(Act::Spawn, Side::Before));
        chaos::at(number(Act::Spawn, Side::After));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_not_asked_looks_at_a_zero() {
        Points::of(Act::Spawn, ObjectId::NONE, Deadline::NEVER).before();
        let asked = |name| std::env::var_os(name).is_some();
        let is_watched = WATCHED.load(Relaxed) != 0;
        assert_eq!(is_watched, asked("MP_CHAOS") || asked("MP_TRACE"));
    }
}
