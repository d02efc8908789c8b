//! Sleep until another process changes a word of shared memory.

use std::ptr;
use std::time::Duration;

use crate::atomic::AtomicU32;

/// Sleeps while `word` is `expected`, for at most `limit`, until [`wake`] (futex `FUTEX_WAIT`).
/// True when a wake-up was counted for this caller; false for every other reason to go on: the
/// word differs already, the time is up, a signal arrived.
// ANCHOR: wait
pub(crate) fn wait(word: &AtomicU32, expected: u32, limit: Duration) -> bool {
    let limit = libc::timespec {
        tv_sec: libc::time_t::try_from(limit.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: limit.subsec_nanos().into(),
    };
    // SAFETY: both pointers are valid for the whole call, and the kernel only reads them. Without
    // FUTEX_PRIVATE_FLAG the kernel finds sleepers of every process that maps the word.
    let woken = unsafe {
        libc::syscall(
            libc::SYS_futex,
            word.as_ptr(),
            libc::FUTEX_WAIT,
            expected,
            ptr::from_ref(&limit),
        )
    };
    woken == 0
}
// ANCHOR_END: wait

/// Wakes at most `count` sleepers and returns how many there were (futex `FUTEX_WAKE`).
pub(crate) fn wake(word: &AtomicU32, count: i32) -> u32 {
    // SAFETY: FUTEX_WAKE uses the address as a key only.
    let woken = unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE, count) };
    u32::try_from(woken).unwrap_or(0)
}
