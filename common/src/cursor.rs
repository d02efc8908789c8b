//! A position in a ring that one side moves on and the other side waits for.

use std::fmt;
use std::time::Duration;

use crate::asleep::{self, Deadlock, Look, Upon};
use crate::atomic::{AtomicU32, Ordering::SeqCst};
use crate::deadline::Deadline;
use crate::futex;
use crate::patience::{LOOKS_AT_A_WORD, soon};

/// The lowest bit of a position, free because positions are multiples of four.
const CLOSED: u32 = 1;

/// A count of bytes, modulo 2^32, in a word that a futex can watch; its lowest bit says "closed".
#[derive(Default)]
pub(crate) struct Cursor {
    word: AtomicU32,
    /// How many processes may be asleep on `word`. A killed sleeper is never subtracted, so this
    /// can be too high, which costs a system call that wakes nobody, but not too low.
    sleepers: AtomicU32,
}

/// What a [`Cursor`] showed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Position(u32);

impl Position {
    pub fn at(offset: u32) -> Self {
        Position(offset)
    }

    pub fn plus(self, bytes: u32) -> Self {
        Position(self.0.wrapping_add(bytes))
    }

    pub fn offset(self) -> u32 {
        self.0 & !CLOSED
    }

    pub fn is_closed(self) -> bool {
        self.0 & CLOSED != 0
    }

    /// How many bytes this position is ahead of `other`.
    pub fn ahead_of(self, other: Position) -> u32 {
        self.offset().wrapping_sub(other.offset())
    }
}

// Sequentially consistent throughout: a mover first moves, then looks for sleepers; a sleeper
// first counts itself, then looks for a move. Whichever order these take, one sees the other.
impl Cursor {
    #[inline]
    pub fn get(&self) -> Position {
        Position(self.word.load(SeqCst))
    }

    // ANCHOR: advance
    /// Moves on from `seen` unless the cursor was closed since; publishes all that was written
    /// before. Only one process at a time may call this: it holds its side's lock.
    #[inline]
    pub fn advance_if_open(&self, seen: Position, by: u32) -> bool {
        let next = seen.0.wrapping_add(by);
        self.word
            .compare_exchange(seen.0, next, SeqCst, SeqCst)
            .is_ok()
    }
    // ANCHOR_END: advance

    /// Moves on, closed or not. Only one process at a time, as above.
    #[inline]
    pub fn advance(&self, by: u32) {
        self.word.fetch_add(by, SeqCst);
    }

    pub fn close(&self) {
        self.word.fetch_or(CLOSED, SeqCst);
        self.wake(i32::MAX);
    }

    /// Wakes at most `count` sleepers.
    #[inline]
    pub fn wake(&self, count: i32) {
        if self.sleepers.load(SeqCst) > 0 {
            self.wake_sleepers(count);
        }
    }

    #[cold]
    fn wake_sleepers(&self, count: i32) {
        // Those woken are subtracted here and not by themselves: until they get to run, which
        // takes microseconds, every further move would be a system call for nothing.
        let woken = futex::wake(&self.word, count);
        self.sleepers.fetch_sub(woken, SeqCst);
    }

    // ANCHOR: wait
    /// Waits until the position is `ready` or the deadline has passed, in sleeps of at most `nap`;
    /// `what` for, it says to others.
    #[inline]
    pub fn wait(
        &self,
        deadline: Deadline,
        nap: Duration,
        what: fmt::Arguments<'_>,
        ready: impl Fn(Position) -> bool,
    ) -> Result<(), Deadlock> {
        let is_ready = || ready(self.get()).then_some(());
        if soon(LOOKS_AT_A_WORD, is_ready).is_some() {
            return Ok(());
        }
        let sleep = |limit| self.sleep(limit, &ready).then_some(());
        let look = || is_ready().map_or(Look::InVain(Upon::Anybody), Look::Found);
        asleep::wait(deadline, nap, what, sleep, look).map(|_| ())
    }

    /// Sleeps once, unless the position is ready; says whether it is.
    fn sleep(&self, limit: Duration, ready: impl Fn(Position) -> bool) -> bool {
        self.sleepers.fetch_add(1, SeqCst);
        let seen = self.get();
        if ready(seen) || !futex::wait(&self.word, seen.0, limit) {
            self.sleepers.fetch_sub(1, SeqCst);
        }
        ready(self.get())
    }
    // ANCHOR_END: wait
}
