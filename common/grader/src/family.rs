//! The processes that come of a program, as the system sees them (`/proc`).

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process;

use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::{Pid, getpgrp};

/// A process that descends from this one.
#[derive(Clone, Debug)]
pub struct Member {
    /// Its number.
    pub pid: u32,
    /// Its parent's.
    pub parent: u32,
    /// Its process group's.
    pub group: u32,
    /// The program's name, cut after 15 bytes.
    pub command: String,
    /// `R` runs, `S` sleeps, `Z` has ended.
    pub state: char,
    /// Processor time so far, in ticks of 10 ms.
    pub ticks: u64,
    /// Memory of its own, in pages.
    pub pages: u64,
}

/// In what a process is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Sleep {
    /// All its threads sleep in calls without a limit.
    Unlimited,
    /// As before, but just now it looks for what it waits for, in vain until now.
    Looking,
    /// All sleep, at least one with a limit, or in a call unknown here.
    Limited,
    /// It runs, or could.
    Awake,
}

impl Member {
    /// Whether it is not dead.
    pub fn is_alive(&self) -> bool {
        !matches!(self.state, 'Z' | 'X')
    }

    fn read(pid: u32) -> Option<Member> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (before, after) = stat.rsplit_once(") ")?;
        let command = before.split_once('(')?.1.to_owned();
        let fields: Vec<&str> = after.split(' ').collect();
        let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
        Some(Member {
            pid,
            parent: number(1)?.try_into().ok()?,
            group: number(2)?.try_into().ok()?,
            command,
            state: fields.first()?.chars().next()?,
            ticks: number(11)? + number(12)?,
            pages: number(21)?,
        })
    }

    /// In what it sleeps.
    pub fn sleep(&self) -> Sleep {
        if self.state == 'T' {
            return Sleep::Unlimited; // until somebody sends `SIGCONT`
        }
        let Ok(threads) = fs::read_dir(format!("/proc/{}/task", self.pid)) else {
            return Sleep::Awake;
        };
        let of = |thread: &Path| {
            let call = fs::read_to_string(thread.join("syscall")).unwrap_or_default();
            call_of(&call)
        };
        let threads = threads.flatten().map(|thread| of(&thread.path()));
        threads.max().unwrap_or(Sleep::Awake)
    }

    /// How often it has gone to sleep so far, all its threads together.
    pub fn naps(&self) -> u64 {
        let threads = fs::read_dir(format!("/proc/{}/task", self.pid));
        let naps = |thread: &Path| -> Option<u64> {
            let status = fs::read_to_string(thread.join("status")).ok()?;
            let mut lines = status.lines();
            let count = lines.find_map(|it| it.strip_prefix("voluntary_ctxt_switches:"))?;
            count.trim().parse().ok()
        };
        let threads = threads.into_iter().flatten().flatten();
        threads.filter_map(|it| naps(&it.path())).sum()
    }

    /// Whether it waits for a child's end.
    pub fn waits_for_children(&self) -> bool {
        let call = fs::read_to_string(format!("/proc/{}/syscall", self.pid)).unwrap_or_default();
        let number = call
            .split(' ')
            .next()
            .and_then(|number| number.parse().ok());
        number.is_some_and(|it: i64| it == libc::SYS_wait4 || it == libc::SYS_waitid)
    }
}

/// From a line of `/proc/PID/syscall`: the call's number, its six arguments, and more.
fn call_of(line: &str) -> Sleep {
    let mut words = line.split_whitespace();
    let Some(number) = words.next().and_then(|word| word.parse::<i64>().ok()) else {
        // `running`, or no leave to look.
        return if line.is_empty() {
            Sleep::Limited
        } else {
            Sleep::Awake
        };
    };
    let hex = |word: &str| u64::from_str_radix(word.trim_start_matches("0x"), 16).unwrap_or(1);
    let arguments: Vec<u64> = words.map(hex).collect();
    let argument = |at: usize| arguments.get(at).copied().unwrap_or(1);
    let is_unlimited = match number {
        libc::SYS_futex => argument(3) == 0,
        libc::SYS_ppoll | libc::SYS_rt_sigtimedwait => argument(2) == 0,
        libc::SYS_pselect6 => argument(4) == 0,
        libc::SYS_epoll_pwait => argument(3) as i32 == -1,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_poll => argument(2) as i32 == -1,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_epoll_wait => argument(3) as i32 == -1,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_pause => true,
        libc::SYS_wait4
        | libc::SYS_waitid
        | libc::SYS_read
        | libc::SYS_readv
        | libc::SYS_recvfrom
        | libc::SYS_recvmsg
        | libc::SYS_accept
        | libc::SYS_accept4
        | libc::SYS_write
        | libc::SYS_writev
        | libc::SYS_sendto
        | libc::SYS_sendmsg
        | libc::SYS_flock
        | libc::SYS_openat
        | libc::SYS_rt_sigsuspend => true,
        _ => false,
    };
    if is_unlimited {
        Sleep::Unlimited
    } else {
        Sleep::Limited
    }
}

/// All processes that descend from this one, however they hide: a process whose parent has ended
/// becomes a child of this one, which is a subreaper.
pub fn family() -> Vec<Member> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let pids = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let mut others: Vec<Member> = pids.filter_map(Member::read).collect();
    let mut family: Vec<Member> = Vec::new();
    let mut parents = vec![process::id()];
    while let Some(parent) = parents.pop() {
        let (children, rest) = others
            .into_iter()
            .partition(|it: &Member| it.parent == parent);
        others = rest;
        parents.extend(children.iter().map(|it: &Member| it.pid));
        family.extend(children);
    }
    family
}

/// Ends all of them, also those that fork as fast as they can: a group is killed in one step, in
/// which none of it can fork.
pub fn end() {
    let own = getpgrp();
    loop {
        let family = family();
        let alive = family.iter().filter(|it| it.is_alive());
        let groups: BTreeSet<u32> = alive.map(|it| it.group).collect();
        for group in groups {
            let group = Pid::from_raw(group.cast_signed());
            if group != own {
                let _ = killpg(group, Signal::SIGKILL);
            }
        }
        for member in family
            .iter()
            .filter(|it| it.group == own.as_raw().cast_unsigned())
        {
            let _ = kill(Pid::from_raw(member.pid.cast_signed()), Signal::SIGKILL);
        }
        reap();
        if family.is_empty() {
            return;
        }
    }
}

/// Waits for all that have ended.
fn reap() {
    while let Ok(status) = waitpid(None, Some(WaitPidFlag::WNOHANG)) {
        if status.pid().is_none() {
            return;
        }
    }
}
