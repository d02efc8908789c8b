//! What must hold before a process forks.

use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::time::Duration;
use std::{fs, io, mem, ptr, thread};

use nix::errno::Errno;

use super::error::SpawnError;
use crate::deadline::Deadline;

/// Makes sure that this is the only thread of the process.
pub(super) fn only_thread() -> Result<(), SpawnError> {
    // A thread that was joined is listed for some microseconds more, longer on a busy machine.
    let patience = Deadline::after(Duration::from_millis(50));
    loop {
        match threads()? {
            1 => return Ok(()),
            threads if patience.has_passed() => return Err(SpawnError::Threads(threads)),
            _ => thread::yield_now(),
        }
    }
}

/// How many threads this process has.
fn threads() -> io::Result<usize> {
    const TASKS: &str = "/proc/self/task";
    // A directory has a link for each directory in it, and two more; asking for their number takes
    // one system call, where reading the directory takes five.
    let links = fs::metadata(TASKS).map(|tasks| tasks.nlink());
    let count = match links {
        Ok(links @ 3..) => Ok(links as usize - 2),
        _ => fs::read_dir(TASKS).map(Iterator::count),
    };
    count.map_err(|error| io::Error::new(error.kind(), format!("cannot read {TASKS}: {error}")))
}

/// A program started by one that ignores `SIGCHLD` ignores it too, and the kernel then throws
/// its children's exit statuses away, as it does where a handler was set with `SA_NOCLDWAIT`. Back
/// to the default, or the handler without that, which only keep them.
pub(super) fn keep_exit_statuses() -> io::Result<()> {
    let mut action = mem::MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: asks only, and writes to a valid place; read after it succeeded.
    let mut action = unsafe {
        let now = ptr::null();
        Errno::result(libc::sigaction(libc::SIGCHLD, now, action.as_mut_ptr()))?;
        action.assume_init()
    };
    let lost = action.sa_sigaction == libc::SIG_IGN || action.sa_flags & libc::SA_NOCLDWAIT != 0;
    if lost {
        action.sa_flags &= !libc::SA_NOCLDWAIT;
        if action.sa_sigaction == libc::SIG_IGN {
            action.sa_sigaction = libc::SIG_DFL;
        }
        // SAFETY: the default, or the handler that is there already.
        Errno::result(unsafe { libc::sigaction(libc::SIGCHLD, &action, ptr::null_mut()) })?;
    }
    Ok(())
}

/// Makes sure that there is a descriptor for the child: its lack is to be noticed before the fork.
/// A copy of standard error, closed at once, is the cheapest that can be had (an eventfd made a
/// start take a tenth longer); without standard error, its number is free.
pub(super) fn spare_descriptor() -> io::Result<()> {
    // SAFETY: a system call on numbers.
    let copied = unsafe { libc::fcntl(libc::STDERR_FILENO, libc::F_DUPFD_CLOEXEC, 0) };
    match Errno::result(copied) {
        Err(Errno::EMFILE) => return Err(Errno::EMFILE.into()),
        Err(_) => {}
        // SAFETY: a new descriptor that belongs to nobody else.
        Ok(copy) => drop(unsafe { OwnedFd::from_raw_fd(copy) }),
    }
    Ok(())
}

unsafe extern "C" {
    static stdout: *mut libc::FILE;
    fn __fpending(stream: *mut libc::FILE) -> libc::size_t;
}

/// Text that C code has printed and that waits in a buffer: a child would print it, too. It looks
/// first, since to flush writes to pages that a child would have to copy (a start took a twentieth
/// longer).
pub(super) fn flush_c() {
    // SAFETY: C's standard output, and what its library has open.
    unsafe {
        if __fpending(stdout) > 0 {
            libc::fflush(ptr::null_mut());
        }
    }
}
