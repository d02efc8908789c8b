//! What must hold before a process forks.

use std::os::unix::fs::MetadataExt;
use std::time::Duration;
use std::{fs, io, mem, ptr, thread};

use nix::errno::Errno;
use nix::sys::signal::{SigHandler, Signal, signal};

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
    match fs::metadata(TASKS)?.nlink() {
        links @ 3.. => Ok(links as usize - 2),
        _ => Ok(fs::read_dir(TASKS)?.count()),
    }
}

/// A program started by one that ignores `SIGCHLD` ignores it too, and the kernel then throws
/// its children's exit statuses away. Back to the default, which only keeps them.
pub(super) fn keep_exit_statuses() -> io::Result<()> {
    let mut old = mem::MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: asks only, and writes to a valid place; read after it succeeded.
    let ignored = unsafe {
        Errno::result(libc::sigaction(
            libc::SIGCHLD,
            ptr::null(),
            old.as_mut_ptr(),
        ))?;
        old.assume_init().sa_sigaction == libc::SIG_IGN
    };
    if ignored {
        // SAFETY: the default handler runs no code of this program.
        unsafe { signal(Signal::SIGCHLD, SigHandler::SigDfl) }?;
    }
    Ok(())
}
