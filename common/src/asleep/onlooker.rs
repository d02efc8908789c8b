//! Who waits for whom in a family, seen from outside.
//!
//! Nothing in the table is believed: it is numbers and bounded texts, which any of its processes
//! may have written over.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::mman::ProtFlags;
use nix::sys::signal::kill;
use nix::unistd::{Pid, geteuid};

use super::family::{End, FILE, Family, MAGIC, SEALS, the_dead};
use super::system::{self, Fate};
use super::table::{Sleep, State, Tenant};
use super::waits::{Life, Nap, Seen, Waits};
use crate::deadline::now;
use crate::identity::Status;
use crate::memory::SharedMemory;

/// Why one cannot look at a family.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LookError {
    /// No process has this pid.
    #[error("there is no process {pid}")]
    NoProcess {
        /// The pid that was asked for.
        pid: u32,
    },
    /// The process is a zombie.
    #[error("process {pid} has ended, and its parent has not waited for it yet")]
    Ended {
        /// The pid that was asked for.
        pid: u32,
    },
    /// The process is another user's.
    #[error("process {pid} is of user {user}: ask as that user, or as root")]
    AnotherUser {
        /// The pid that was asked for.
        pid: u32,
        /// The number of the user.
        user: u32,
    },
    /// The process is this user's, and the system refuses all the same.
    #[error(
        "the system forbids to look into process {pid}: it is protected (set-user-id, or not \
         dumpable), or a container's rules forbid it; ask as root, from outside the container"
    )]
    Forbidden {
        /// The pid that was asked for.
        pid: u32,
    },
    /// The process was told to have no table.
    #[error("process {pid} was started with MP_ASLEEP=off, so nobody notes who waits in it")]
    SwitchedOff {
        /// The pid that was asked for.
        pid: u32,
    },
    /// The process has no table.
    #[error(
        "process {pid} does not note who waits: it does not use this library, or has shared and \
         started nothing yet, or has no descriptor left for that"
    )]
    NoTable {
        /// The pid that was asked for.
        pid: u32,
    },
    /// The table is another version's.
    #[error("process {pid} uses another version of this library: build who_waits from its sources")]
    AnotherVersion {
        /// The pid that was asked for.
        pid: u32,
    },
    /// The system refused.
    #[error("the system cannot show who waits")]
    System(#[source] io::Error),
}

/// Looks from outside at who waits for whom in a family of processes: for a program that seems to
/// hang, whether or not anybody gets a [`Deadlock`](super::Deadlock).
///
/// A look changes nothing for those that it looks at. It is **no proof**: what it shows may have
/// changed by the time that it is read.
///
/// Python: none. System: the family's table is in a `memfd`, which `/proc/PID/fd` leads to. Each
/// process of a family has it open, as one descriptor more; a program may close that, as nothing but
/// an onlooker uses it. Without a free descriptor, a program runs, and nobody can look.
///
/// ```
/// use common::{LookError, Onlooker};
///
/// let not_of_this_library = Onlooker::of(std::process::id());
/// assert!(matches!(not_of_this_library, Err(LookError::NoTable { .. })));
/// ```
pub struct Onlooker {
    memory: SharedMemory<Family, ()>,
    /// The file's number.
    inode: u64,
    /// That of their pids, if it is not this process's.
    namespace: Option<PathBuf>,
    before: BTreeSet<Sleep>,
}

impl Onlooker {
    /// Finds the family of the process with this pid, which may be any of its living processes, and
    /// takes a first look.
    ///
    /// # Errors
    /// There is nothing to look at, or the system forbids it: [`LookError`].
    pub fn of(pid: u32) -> Result<Onlooker, LookError> {
        let file = find(pid)?;
        let meta = file.metadata().map_err(LookError::System)?;
        let seals = fcntl(&file, FcntlArg::F_GET_SEALS).unwrap_or(0);
        if seals == 0 {
            return Err(LookError::NoTable { pid }); // it is about to make one
        }
        if meta.len() != size_of::<Family>() as u64 || seals & SEALS.bits() != SEALS.bits() {
            return Err(LookError::AnotherVersion { pid });
        }
        // SAFETY: it is that long, and sealed.
        let memory = unsafe { SharedMemory::of(&file, 0, ProtFlags::PROT_READ) };
        let theirs = namespace(pid);
        let mut onlooker = Onlooker {
            memory: memory.map_err(LookError::System)?,
            inode: meta.ino(),
            namespace: theirs.filter(|it| Some(it) != namespace("self").as_ref()),
            before: BTreeSet::new(),
        };
        match onlooker.family().version() {
            MAGIC => onlooker.look(),
            0 => return Err(LookError::NoTable { pid }),
            _ => return Err(LookError::AnotherVersion { pid }),
        };
        Ok(onlooker)
    }

    /// Looks again. Who sleeps in the same sleep as in the look before is said to wait, so leave
    /// some time between the two.
    pub fn look(&mut self) -> Waits {
        let pids = self.namespace.as_deref().map(pids);
        let here = |pid| match &pids {
            Some(pids) => pids.get(&pid).copied(),
            None => Some(pid),
        };
        let mut sleeps = BTreeSet::new();
        let places = self.family().places();
        let (mut seen, mut dead) = (Vec::new(), Vec::new());
        for place in places {
            match self.process(place, here, &mut sleeps) {
                Some(Ok(it)) => seen.push(it),
                Some(Err(it)) => dead.push(it),
                None => {}
            }
        }
        self.before = sleeps;
        seen.sort_by_key(|it| (it.depth, it.place));
        Waits {
            seen,
            dead: the_dead(dead),
            shares_pids: self.namespace.is_none(),
            now: now(),
        }
    }

    fn family(&self) -> &Family {
        // SAFETY: mapped as long as this is. All of it is atomics, for which any bits will do.
        unsafe { self.memory.head().as_ref() }
    }

    fn process(
        &self,
        place: usize,
        here: impl Fn(u32) -> Option<u32>,
        sleeps: &mut BTreeSet<Sleep>,
    ) -> Option<Result<Seen, (End, String)>> {
        let (family, table) = (self.family(), self.family().table());
        let tenant = table.tenant(place);
        let life = self.life(place, tenant, here(table.pid(place)))?;
        let mut naps = Vec::new();
        if matches!(life, Ok(Life::Lives(_))) {
            let dozing = table.sleepers(place, true);
            for sleep in table.sleeps(place).chain(dozing) {
                let nap = self.nap(sleep);
                sleeps.insert(sleep);
                if self.before.contains(&sleep) && table.is_still(sleep) {
                    naps.push(nap);
                }
            }
        }
        let (name, depth) = (family.name(place), family.depth(place));
        if table.tenant(place) != tenant {
            return None; // it was about to be another's
        }
        Some(match life {
            Err(end) => Err((end, name)),
            Ok(life) => Ok(Seen {
                place,
                depth,
                name,
                life,
                naps,
            }),
        })
    }

    /// How a process lives, or how it has ended; `pid` is what it has here, if any.
    fn life(&self, place: usize, tenant: Tenant, pid: Option<u32>) -> Option<Result<Life, End>> {
        let (end, death) = self.family().end(place);
        let state = tenant.state();
        match (state, &end) {
            (State::Free | State::Forking, _) => return None,
            (State::Ended, Fate::Ended(_)) => return Some(Err((end, death))),
            _ => {}
        }
        let is_root = self.family().depth(place) == 0;
        let fate = pid.map_or(Fate::Ended(None), |pid| system::fate(pid, is_root));
        let has_it = pid.is_some_and(|pid| self.has_it(pid));
        Some(match (fate, state) {
            (Fate::Lives, State::Live) if has_it => {
                let status = Status::of(pid?).ok();
                Ok(Life::Lives(
                    status.map(|it| (it.state, it.threads as usize)),
                ))
            }
            (Fate::Lives, State::Serving) if has_it => Ok(Life::Serves),
            (Fate::Lives, _) if is_root => {
                Ok(Life::Elsewhere("has ended, or runs another program"))
            }
            // The pid is another's by now.
            (Fate::Lives, _) => Err((Fate::Ended(None), u32::MAX)),
            (Fate::RunsAnotherProgram, _) => Ok(Life::Elsewhere("runs another program")),
            (fate @ Fate::Ended(_), _) => Err((fate, u32::MAX)),
        })
    }

    /// Whether the process has the table, as far as can be told.
    fn has_it(&self, pid: u32) -> bool {
        let maps = fs::read_to_string(format!("/proc/{pid}/maps"));
        maps.map_or(true, |maps| inode(&maps) == Some(self.inode))
    }

    fn nap(&self, sleep: Sleep) -> Nap {
        let (place, cell) = (sleep.slot, sleep.cell);
        let upon = self.family().table().upon(sleep);
        let (what, caller) = self.family().reason(place, cell, upon);
        let (since, holds) = self.family().since(place, cell);
        Nap {
            is_limited: sleep.is_limited,
            upon: upon.process().and_then(|pid| self.family().place_of(pid)),
            what: printable(&what),
            caller: printable(&caller),
            since,
            holds: printable(&holds),
        }
    }
}

/// A text that a terminal takes for nothing else.
fn printable(text: &str) -> String {
    let replaced = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    text.chars().map(replaced).collect()
}

/// The file with the table of this process's family.
fn find(pid: u32) -> Result<File, LookError> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps"));
    let maps = maps.map_err(|error| refused(pid, error))?;
    let Some(inode) = inode(&maps) else {
        let status = Status::of(pid).map_err(|error| refused(pid, error))?;
        if status.is_ending() {
            return Err(LookError::Ended { pid });
        }
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let mut variables = environment.split(|&byte| byte == 0);
        return Err(match variables.any(|it| it == b"MP_ASLEEP=off") {
            true => LookError::SwitchedOff { pid },
            false => LookError::NoTable { pid },
        });
    };
    // It may have closed it. Then another of its family has it.
    let others = system::processes().into_iter().flatten();
    let mut files = [pid].into_iter().chain(others).flat_map(descriptors);
    let file = files.find_map(|path| {
        let target = fs::read_link(&path).ok()?;
        target.to_str()?.strip_prefix(NAME)?.strip_prefix(FILE)?;
        // First: another file of that name may be a pipe, and to open one may take for ever.
        let is_it = fs::metadata(&path).is_ok_and(|it| it.is_file() && it.ino() == inode);
        is_it.then(|| File::open(path).ok())?
    });
    file.ok_or(LookError::NoTable { pid })
}

/// In front of the name of a file of memory.
const NAME: &str = "/memfd:";

/// The number of the file with the table, in a process's mappings.
fn inode(maps: &str) -> Option<u64> {
    let is_it = |line: &&str| {
        let name = line.split_whitespace().nth(5);
        name.and_then(|name| name.strip_prefix(NAME)) == Some(FILE)
    };
    let mapping = maps.lines().find(is_it)?;
    mapping.split_whitespace().nth(4)?.parse().ok()
}

fn descriptors(pid: u32) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).into_iter();
    entries.flatten().flatten().map(|entry| entry.path())
}

fn refused(pid: u32, error: io::Error) -> LookError {
    let answer = kill(Pid::from_raw(pid.cast_signed()), None);
    match (error.kind(), user(pid)) {
        _ if pid.cast_signed() <= 0 || answer == Err(Errno::ESRCH) => LookError::NoProcess { pid },
        (io::ErrorKind::PermissionDenied, Some(user)) if user != geteuid().as_raw() => {
            LookError::AnotherUser { pid, user }
        }
        // Where `/proc` shows nobody else's.
        (io::ErrorKind::PermissionDenied | io::ErrorKind::NotFound, _) => {
            LookError::Forbidden { pid }
        }
        _ => LookError::System(error),
    }
}

/// Whose a process is. That its entry in `/proc` is root's may only say that it is protected.
fn user(pid: u32) -> Option<u32> {
    field(pid, "Uid:")?.split_whitespace().nth(1)?.parse().ok()
}

/// Of `/proc/PID/status` (proc_pid_status(5)).
fn field(pid: u32, name: &str) -> Option<String> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let field = status.lines().find_map(|line| line.strip_prefix(name))?;
    Some(field.to_owned())
}

/// That of a process's pids.
fn namespace(pid: impl fmt::Display) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{pid}/ns/pid")).ok()
}

/// The pids here of those in a namespace, by their pids there.
fn pids(theirs: &Path) -> BTreeMap<u32, u32> {
    let all = system::processes().into_iter().flatten();
    let pids = all.filter_map(|pid| {
        let is_there = namespace(pid)? == theirs;
        let there = field(pid, "NSpid:")?;
        let there = there.split_whitespace().last()?.parse().ok()?;
        is_there.then_some((there, pid))
    });
    pids.collect()
}
