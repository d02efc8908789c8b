//! How many locks a thread holds: none may be carried across a fork, or outlive its thread.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use nix::unistd::{getpid, gettid};

use crate::words::complain;

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
            complain(&format!(
                "a thread has ended that holds {} lock(s): aborting",
                self.0.get()
            ));
            std::process::abort();
        }
    }
}

/// How many locks this thread holds; `None` when it ends, and its count is gone already.
#[inline]
pub(crate) fn held() -> Option<usize> {
    GUARDS.try_with(|guards| guards.0.get()).ok()
}

/// Whether this process is about to fork without any: its only thread has none.
static NONE_IS_HELD: AtomicBool = AtomicBool::new(false);

/// A fork without a guard.
pub(crate) fn without<T>(fork: impl FnOnce() -> T) -> T {
    NONE_IS_HELD.store(true, Relaxed);
    let forked = fork(); // in both processes
    NONE_IS_HELD.store(false, Relaxed);
    forked
}

pub(crate) fn none_is_held() -> bool {
    NONE_IS_HELD.load(Relaxed)
}

/// Counts one more, or one less.
#[inline]
pub(crate) fn count(change: isize) {
    // A thread that is ending may drop guards it held in other thread-local variables.
    let _ = GUARDS.try_with(|guards| guards.0.set(guards.0.get().saturating_add_signed(change)));
}
