//! What the system knows of a process that the table cannot.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::Pid;

use crate::identity::Status;

/// What has become of a process that is not known to be asleep.
pub(super) enum Fate {
    Lives,
    /// With its wait status, if that can be had.
    Ended(Option<i32>),
    RunsAnotherProgram,
}

impl Fate {
    pub fn is_well(&self) -> bool {
        matches!(self, Fate::Ended(Some(0)) | Fate::RunsAnotherProgram)
    }
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fate::Lives => f.write_str("lives"),
            Fate::Ended(None) => f.write_str("ended"),
            Fate::Ended(Some(status)) => write!(f, "ended: {}", ExitStatus::from_raw(*status)),
            Fate::RunsAnotherProgram => f.write_str("runs another program"),
        }
    }
}

pub(super) fn fate(pid: u32, is_root: bool) -> Fate {
    match Status::of(pid) {
        Ok(status) if status.is_zombie() => Fate::Ended(Some(status.exit)),
        Ok(status) if status.has_executed() && !is_root => Fate::RunsAnotherProgram,
        Ok(_) => Fate::Lives,
        Err(_) if kill(Pid::from_raw(pid.cast_signed()), None) == Err(Errno::ESRCH) => {
            Fate::Ended(None)
        }
        Err(_) => Fate::Lives,
    }
}

/// Whether a process has so many threads, if that is given, and no signal can make any of them do
/// something: none is on its way to one of them, and the program handles none.
pub(super) fn is_quiet(pid: u32, threads: Option<usize>) -> bool {
    let look = || -> io::Result<Option<usize>> {
        let mut count = 0;
        for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
            let status = fs::read_to_string(thread?.path().join("status"))?;
            if !is_quiet_thread(&status).unwrap_or(false) {
                return Ok(None);
            }
            count += 1;
        }
        Ok(Some(count))
    };
    matches!(look(), Ok(Some(count)) if threads.is_none_or(|threads| threads == count))
}

/// By the fields of `/proc/PID/task/TID/status` (proc_pid_status(5)).
fn is_quiet_thread(status: &str) -> Option<bool> {
    let field = |name: &str| {
        status
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(":\t"))
    };
    let set = |name: &str| u64::from_str_radix(field(name)?, 16).ok();
    // A stack overflow is reported by the standard library's handlers, and the C library has two
    // signals of its own.
    let own = [libc::SIGSEGV, libc::SIGBUS, 32, 33];
    let own = own.iter().fold(0, |all, signal| all | 1 << (signal - 1));
    let ended = field("State")?.starts_with(['Z', 'X']);
    let arriving = (set("SigPnd")? | set("ShdPnd")?) & !set("SigBlk")?;
    Some(!ended && arriving == 0 && set("SigCgt")? & !own == 0)
}

/// Whether a process other than these has this place of this process's memory mapped, too, and can
/// write there: an onlooker cannot. Those that this process may not look into are taken to be no
/// part of the family.
pub(super) fn is_mapped_elsewhere(address: usize, known: &[u32]) -> bool {
    let start = format!("{address:x}-");
    let Ok(mine) = fs::read_to_string("/proc/self/maps") else {
        return true;
    };
    let Some(mapping) = mine.lines().find(|line| line.starts_with(&start)) else {
        return true;
    };
    let Ok(pids) = processes() else {
        return true;
    };
    pids.filter(|pid| !known.contains(pid)).any(|pid| {
        let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
        let mut lines = maps.lines();
        lines.any(|line| file(line).eq(file(mapping)) && is_writable(line))
    })
}

/// All that the system shows.
pub(super) fn processes() -> io::Result<impl Iterator<Item = u32>> {
    let entries = fs::read_dir("/proc")?;
    Ok(entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()))
}

fn is_writable(mapping: &str) -> bool {
    let allowed = mapping.split_whitespace().nth(1);
    allowed.is_some_and(|allowed| allowed.contains('w'))
}

/// The device and the inode of a mapping, which no other has.
fn file(mapping: &str) -> impl Iterator<Item = &str> {
    mapping.split_whitespace().skip(3).take(2)
}
