//! Which process, beyond doubt: a pid is given to another process sooner or later.

use std::fs;
use std::io;
use std::sync::Once;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

/// This process's pid, which costs a system call only once: a pool asks with every task whether
/// it is in the hands of a forked copy. (`std::process::id` always makes the call.)
#[inline]
pub(crate) fn own_pid() -> u32 {
    match OWN_PID.load(Relaxed) {
        0 => find_own_pid(),
        pid => pid,
    }
}

/// 0 while nobody has asked.
static OWN_PID: AtomicU32 = AtomicU32::new(0);

#[cold]
fn find_own_pid() -> u32 {
    extern "C" fn forget() {
        OWN_PID.store(0, Relaxed);
    }
    static ONCE: Once = Once::new();
    // SAFETY: what runs in every forked child is one store.
    ONCE.call_once(|| unsafe {
        libc::pthread_atfork(None, None, Some(forget));
    });
    let pid = std::process::id();
    OWN_PID.store(pid, Relaxed);
    pid
}

/// A pid and, in the lower half, when that process started, in clock ticks since the boot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Identity(pub u64);

impl Identity {
    /// This process. `None` if `/proc` cannot be read.
    pub fn mine() -> Option<Self> {
        static MINE: AtomicU64 = AtomicU64::new(0);
        let pid = own_pid();
        let known = Identity(MINE.load(Relaxed));
        // A forked child has a copy of its parent's.
        if known.pid() == pid {
            return Some(known);
        }
        let mine = Self::of(pid)?;
        MINE.store(mine.0, Relaxed);
        Some(mine)
    }

    /// The process with this pid, also one that has ended and is not reaped yet.
    pub fn of(pid: u32) -> Option<Self> {
        status(pid)
            .ok()
            .map(|(_, start)| Identity(u64::from(pid) << 32 | u64::from(start)))
    }

    pub fn pid(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// Whether that very process still runs. If that cannot be told, it does.
    pub fn is_alive(self) -> bool {
        match status(self.pid()) {
            Ok((state, start)) => start == self.0 as u32 && !matches!(state, 'Z' | 'X'),
            // It ended before the file was opened, or before it was read.
            Err(error) => !matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ESRCH)),
        }
    }
}

/// State and start time, the fields 3 and 22 of `/proc/PID/stat` (proc_pid_stat(5)). Field 2, the
/// name, may itself contain spaces and parentheses.
fn status(pid: u32) -> io::Result<(char, u32)> {
    let line = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let parse = || {
        let mut fields = line.rsplit_once(')')?.1.split_whitespace();
        let state = fields.next()?.chars().next()?;
        let start: u64 = fields.nth(18)?.parse().ok()?;
        Some((state, start as u32))
    };
    parse().ok_or_else(|| io::ErrorKind::InvalidData.into())
}
