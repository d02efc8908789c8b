//! How to wait for what may come at any moment: look, give the processor away, and only then
//! sleep.
//!
//! A partner on another core answers within the looks, one on this core within the yields; what
//! takes longer is worth a sleep. The numbers were chosen by measuring with others in their place,
//! on two cores, with the benchmarks `peers` and `growth`. Without looks a round trip between two
//! processes takes twice as long or more; with 4 yields ten times as long, as one of the two is
//! often put to sleep. With four processes on the two cores, 1000 looks or 128 yields make it
//! several times as long. Streams hardly differ.

use std::hint;
use std::thread;

/// How often to look at a word of memory before the first yield.
pub(crate) const LOOKS_AT_A_WORD: u32 = 100;
/// How often to try for a mutex, which is held for a moment only.
pub(crate) const LOOKS_AT_A_MUTEX: u32 = 40;
/// How often to ask the system. Each is a system call, so that these take some microseconds, as
/// long as a partner that is awake takes to answer.
pub(crate) const LOOKS_BY_SYSTEM_CALL: u32 = 40;
/// How often to look again, and give the processor away after that.
const YIELDS: u32 = 32;

/// What `look` finds, if it does so `looks` times or in the yields after that; `None` when it is
/// time to sleep.
#[inline]
pub(crate) fn soon<T>(looks: u32, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    for done in 0..looks + YIELDS {
        let found = look();
        if found.is_some() {
            return found;
        }
        if done < looks {
            hint::spin_loop();
        } else {
            thread::yield_now();
        }
    }
    None
}
