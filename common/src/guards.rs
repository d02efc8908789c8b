//! How many locks a thread holds: none may be carried across a fork, or outlive its thread.

use std::cell::Cell;

use nix::unistd::{getpid, gettid};

/// The kernel looks after at most 2048 robust mutexes of a thread that dies.
pub(crate) const MOST: usize = 2000;

/// A thread's count.
struct Guards(Cell<usize>);

thread_local! {
    static GUARDS: Guards = const { Guards(Cell::new(0)) };
}

impl Drop for Guards {
    fn drop(&mut self) {
        // With the main thread, the process ends.
        if self.0.get() > 0 && gettid() != getpid() {
            // The kernel now gives the locks to others, but a forgotten guard's reference may live
            // on in another thread.
            eprintln!(
                "a thread has ended that holds {} lock(s): aborting",
                self.0.get()
            );
            std::process::abort();
        }
    }
}

/// How many locks this thread holds.
#[inline]
pub(crate) fn held() -> usize {
    GUARDS.try_with(|guards| guards.0.get()).unwrap_or(0)
}

/// Counts one more, or one less.
#[inline]
pub(crate) fn count(change: isize) {
    // A thread that is ending may drop guards it held in other thread-local variables.
    let _ = GUARDS.try_with(|guards| guards.0.set(guards.0.get().saturating_add_signed(change)));
}
