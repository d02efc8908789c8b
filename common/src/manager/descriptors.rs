//! A server's descriptors: its own, and none that it has inherited.

use std::fs;
use std::os::fd::{AsFd, AsRawFd, RawFd};

use nix::errno::Errno;

/// The first after standard input, output and error, which stay.
const FIRST: RawFd = 3;

/// Closes what this process has inherited but for `kept`: the end of a pipe that the program
/// closes would else stay open here.
///
/// # Safety
/// This process uses no other descriptor that is open now.
pub(super) unsafe fn close_all_but(kept: &impl AsFd) {
    let kept = kept.as_fd().as_raw_fd();
    let close = |first: RawFd, last: RawFd| {
        // SAFETY: a system call on numbers, and the caller's promise.
        let done = || unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
        first > last || Errno::result(done()).is_ok()
    };
    if close(FIRST, kept - 1) && close(FIRST.max(kept + 1), RawFd::MAX) {
        return;
    }
    // A kernel before 5.9. The numbers first: the list is read through a descriptor.
    let listed = fs::read_dir("/proc/self/fd")
        .into_iter()
        .flatten()
        .flatten();
    let number = |entry: fs::DirEntry| entry.file_name().to_str()?.parse().ok();
    let numbers: Vec<RawFd> = listed.filter_map(number).collect();
    for fd in numbers.into_iter().filter(|&fd| fd >= FIRST && fd != kept) {
        // SAFETY: the caller's promise.
        unsafe { libc::close(fd) };
    }
}
