//! Which process, beyond doubt: a pid is given to another process sooner or later.

use std::fs;
use std::io;
use std::sync::Once;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::Pid;

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
/// The same, of an [`Identity`].
static MINE: AtomicU64 = AtomicU64::new(0);

#[cold]
fn find_own_pid() -> u32 {
    extern "C" fn forget() {
        OWN_PID.store(0, Relaxed);
        MINE.store(0, Relaxed);
    }
    static ONCE: Once = Once::new();
    // SAFETY: what runs in every forked child is two stores.
    ONCE.call_once(|| unsafe {
        libc::pthread_atfork(None, None, Some(forget));
    });
    let pid = std::process::id();
    OWN_PID.store(pid, Relaxed);
    pid
}

/// A pid and, in the lower half, when that process started, in clock ticks since the boot; zero if
/// that could not be found out: `/proc` is not there, or no descriptor is free.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Identity(pub u64);

impl Identity {
    /// This process.
    #[inline]
    pub fn mine() -> Self {
        match MINE.load(Relaxed) {
            0 => Self::find_mine(),
            mine => Identity(mine),
        }
    }

    #[cold]
    fn find_mine() -> Self {
        // Not by the pid: `/proc` may be that of another pid namespace.
        let start = Status::read("/proc/self/stat").map_or(0, |status| status.start);
        let mine = Self::new(own_pid(), start);
        if start != 0 {
            MINE.store(mine.0, Relaxed);
        }
        mine
    }

    /// The process with this pid, also one that has ended and is not reaped yet.
    pub fn of(pid: u32) -> Self {
        Self::new(pid, Status::of(pid).map_or(0, |status| status.start))
    }

    pub fn new(pid: u32, start: u32) -> Self {
        Identity(u64::from(pid) << 32 | u64::from(start))
    }

    pub fn pid(self) -> u32 {
        (self.0 >> 32) as u32
    }

    fn start(self) -> u32 {
        self.0 as u32
    }

    /// Whether both are the same process, as far as is known.
    pub fn is(self, other: Identity) -> bool {
        self.pid() == other.pid()
            && (self.start() == other.start() || self.start() == 0 || other.start() == 0)
    }

    /// Whether some thread of that very process still runs. If that cannot be told, one does.
    pub fn is_alive(self) -> bool {
        match Status::of(self.pid()) {
            Ok(status) => {
                let same = self.start() == 0 || status.start == self.start();
                same && !status.is_ending()
            }
            // It ended, or this process may not see its entry: the system tells these apart.
            Err(_) => kill(Pid::from_raw(self.pid().cast_signed()), None) != Err(Errno::ESRCH),
        }
    }

    /// Whether that process is the parent of this one, or the parent's parent, and so on.
    pub fn is_ancestor(self) -> bool {
        let mut pid = own_pid();
        while let Ok(status) = Status::of(pid)
            && status.parent != 0
        {
            pid = status.parent;
            if pid == self.pid() {
                return true;
            }
        }
        false
    }
}

/// Of a process's flags: it runs no more of its program.
const PF_EXITING: u32 = 4;
/// It was forked, and has not started another program.
const PF_FORKNOEXEC: u32 = 0x40;

/// Some fields of `/proc/PID/stat` (proc_pid_stat(5)): 3, 4, 9, 20, 22 and 52.
pub(crate) struct Status {
    pub state: u8,
    parent: u32,
    flags: u32,
    pub threads: u32,
    start: u32,
    /// As `waitpid` has it, of a zombie.
    pub exit: i32,
}

impl Status {
    /// Whether all its threads have ended, and nobody has waited for it yet.
    pub fn is_zombie(&self) -> bool {
        self.state == b'Z' && self.threads <= 1
    }

    /// Whether it runs no more of its program. The first thread may have ended, or be about to, while
    /// others run.
    pub fn is_ending(&self) -> bool {
        self.threads <= 1 && self.flags & PF_EXITING != 0
    }

    /// Whether it runs another program than its parent did when it was forked.
    pub fn has_executed(&self) -> bool {
        self.flags & PF_FORKNOEXEC == 0
    }

    pub fn of(pid: u32) -> io::Result<Status> {
        Self::read(&format!("/proc/{pid}/stat"))
    }

    fn read(path: &str) -> io::Result<Status> {
        // Bytes: field 2, the name, is cut at a byte, and may contain spaces and parentheses.
        let line = fs::read(path)?;
        let parse = || {
            let end = line.iter().rposition(|&byte| byte == b')')?;
            let mut fields = str::from_utf8(line.get(end + 1..)?)
                .ok()?
                .split_whitespace();
            let status = Status {
                state: *fields.next()?.as_bytes().first()?,
                parent: fields.next()?.parse().ok()?,
                flags: fields.nth(4)?.parse().ok()?,
                threads: fields.nth(10)?.parse().ok()?,
                start: fields.nth(1)?.parse::<u64>().ok()? as u32,
                exit: fields.nth(29)?.parse().ok()?,
            };
            Some(status)
        };
        parse().ok_or_else(|| io::ErrorKind::InvalidData.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_are_those_of_this_process() {
        let status = Status::of(own_pid()).expect("/proc is there");
        assert_eq!(status.parent, std::os::unix::process::parent_id());
        assert!(!status.is_zombie() && status.has_executed() && status.exit == 0);
        let tasks = fs::read_dir("/proc/self/task")
            .expect("/proc is there")
            .count();
        assert!(
            status.threads >= 2 && tasks >= 2,
            "this thread and the first"
        );
        assert!(Identity::mine().is_alive() && Identity::mine().is(Identity::of(own_pid())));
        assert!(Identity(u64::from(status.parent) << 32).is_ancestor());
        assert!(!Identity::mine().is_ancestor());
        let with_this_pid = Identity::new(own_pid(), status.start + 1);
        assert!(!with_this_pid.is_alive() && !with_this_pid.is(Identity::mine()));
    }
}
