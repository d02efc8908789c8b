//! Who waits for whom in a family, seen from outside.
//!
//! Nothing in the table is believed: it is numbers and bounded texts, which any of its processes
//! may have written over.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::mman::ProtFlags;
use nix::sys::signal::kill;
use nix::unistd::{Pid, geteuid};

use super::family::{FILE, Family, SEALS};
use super::system::{self, Fate};
use super::table::{Sleep, State, Tenant};
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
         started nothing yet, or had no descriptor left when it did"
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
/// Python: none. System: the family's table is in a `memfd`, which `/proc/PID/fd` leads to.
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
    /// Whether a pid is the same process for both.
    shares_pids: bool,
    before: BTreeSet<Sleep>,
}

/// What an [`Onlooker`] saw. As text: how many wait, a line or two for each process, and what
/// follows from that.
#[derive(Debug)]
pub struct Waits {
    seen: Vec<Seen>,
    shares_pids: bool,
    now: Duration,
}

/// A process.
#[derive(Debug)]
struct Seen {
    place: usize,
    depth: u32,
    name: String,
    life: Life,
    naps: Vec<Nap>,
}

#[derive(Debug)]
enum Life {
    /// Its state, as the system has it, and how many threads it has.
    Lives(Option<(u8, usize)>),
    Serves,
    Ended(String),
}

/// A thread that waits.
#[derive(Debug)]
struct Nap {
    is_limited: bool,
    /// The place of the process upon which it depends.
    upon: Option<usize>,
    what: String,
    caller: String,
    since: Duration,
    holds: String,
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
        if meta.len() != size_of::<Family>() as u64 || seals & SEALS.bits() != SEALS.bits() {
            return Err(LookError::AnotherVersion { pid });
        }
        // SAFETY: it is that long, and sealed.
        let memory = unsafe { SharedMemory::of(&file, 0, ProtFlags::PROT_READ) };
        let pids = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
        let mut onlooker = Onlooker {
            memory: memory.map_err(LookError::System)?,
            inode: meta.ino(),
            shares_pids: pids("self") == pids(&pid.to_string()),
            before: BTreeSet::new(),
        };
        if !onlooker.family().is_one() {
            return Err(LookError::AnotherVersion { pid });
        }
        onlooker.look();
        Ok(onlooker)
    }

    /// Looks again. Who sleeps in the same sleep as in the look before is said to wait, so leave
    /// some time between the two.
    pub fn look(&mut self) -> Waits {
        let family = self.family();
        let mut sleeps = BTreeSet::new();
        let places = family.places();
        let seen: Vec<Seen> = places
            .filter_map(|place| self.process(place, &mut sleeps))
            .collect();
        self.before = sleeps;
        let mut waits = Waits {
            seen,
            shares_pids: self.shares_pids,
            now: now(),
        };
        waits.seen.sort_by_key(|it| (it.depth, it.place));
        waits
    }

    fn family(&self) -> &Family {
        // SAFETY: mapped as long as this is. All of it is atomics, for which any bits will do.
        unsafe { self.memory.head().as_ref() }
    }

    fn process(&self, place: usize, sleeps: &mut BTreeSet<Sleep>) -> Option<Seen> {
        let (family, table) = (self.family(), self.family().table());
        let tenant = table.tenant(place);
        let life = self.life(place, tenant)?;
        let mut naps = Vec::new();
        if matches!(life, Life::Lives(_)) {
            let dozing = table.sleepers(place, true);
            for sleep in table.sleeps(place).chain(dozing) {
                let nap = self.nap(sleep);
                sleeps.insert(sleep);
                if self.before.contains(&sleep) && table.is_still(sleep) {
                    naps.push(nap);
                }
            }
        }
        let name = printable(&family.name(place));
        let depth = family.depth(place);
        // Else it was about to be another's.
        (table.tenant(place) == tenant).then_some(Seen {
            place,
            depth,
            name,
            life,
            naps,
        })
    }

    fn life(&self, place: usize, tenant: Tenant) -> Option<Life> {
        let family = self.family();
        match tenant.state() {
            State::Free | State::Forking => return None,
            State::Ended => return Some(Life::Ended(family.end(place).1)),
            State::Live | State::Serving if !self.shares_pids => {}
            State::Live | State::Serving => {
                let pid = family.table().pid(place);
                match system::fate(pid, family.depth(place) == 0) {
                    Fate::Lives if self.has_it(pid) => {}
                    // The pid is another's by now, or it runs what `fate` takes for the first.
                    Fate::Lives => return Some(Life::Ended(Fate::Ended(None).to_string())),
                    fate => return Some(Life::Ended(fate.to_string())),
                }
                if tenant.state() == State::Live {
                    let status = Status::of(pid).ok();
                    let known = status.map(|it| (it.state, it.threads as usize));
                    return Some(Life::Lives(known));
                }
            }
        }
        Some(match tenant.state() {
            State::Serving => Life::Serves,
            _ => Life::Lives(None),
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
    let status = Status::of(pid);
    if status.as_ref().is_ok_and(Status::is_zombie) {
        return Err(LookError::Ended { pid });
    }
    let maps = fs::read_to_string(format!("/proc/{pid}/maps"));
    let maps = maps.map_err(|error| refused(pid, error))?;
    let Some(inode) = inode(&maps) else {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let mut variables = environment.split(|&byte| byte == 0);
        return Err(match variables.any(|it| it == b"MP_ASLEEP=off") {
            true => LookError::SwitchedOff { pid },
            false => LookError::NoTable { pid },
        });
    };
    // It may have closed it. Then another of its family has it.
    let others = fs::read_dir("/proc").into_iter().flatten().flatten();
    let others = others.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let mut files = [pid].into_iter().chain(others).flat_map(descriptors);
    let file = files.find_map(|path| {
        let target = fs::read_link(&path).ok()?;
        target.to_str()?.strip_prefix(NAME)?.strip_prefix(FILE)?;
        let file = File::open(path).ok()?;
        (file.metadata().ok()?.ino() == inode).then_some(file)
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
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let users = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    users.split_whitespace().nth(1)?.parse().ok()
}

impl Seen {
    fn lives(&self) -> bool {
        matches!(self.life, Life::Lives(_))
    }

    /// Whether each of its threads waits.
    fn waits(&self) -> bool {
        let threads = match self.life {
            Life::Lives(Some((_, threads))) => threads,
            _ => 1,
        };
        self.lives() && self.naps.len() >= threads.max(1)
    }

    fn has_a_limit(&self) -> bool {
        self.naps.iter().any(|nap| nap.is_limited)
    }

    /// What it does that does not wait.
    fn goes_on(&self) -> &'static str {
        match self.life {
            Life::Lives(Some((b'R', _))) => "goes on: it runs",
            Life::Lives(Some((b'T' | b't', _))) => "is stopped",
            Life::Lives(Some(_)) => "goes on: it sleeps in another way, or since a moment ago",
            _ => "goes on",
        }
    }
}

impl Waits {
    /// Whether all processes of the family have ended.
    pub fn are_over(&self) -> bool {
        self.seen.iter().all(|it| matches!(it.life, Life::Ended(_)))
    }

    /// Those that wait for themselves, by way of others, in turn.
    fn circle(&self) -> Vec<&Seen> {
        let of = |it: &Seen| it.naps.iter().filter_map(|nap| nap.upon).collect();
        let waits: BTreeMap<usize, BTreeSet<usize>> = self
            .seen
            .iter()
            .filter(|it| it.waits())
            .map(|it| (it.place, of(it)))
            .collect();
        let is_in_one = |it: &&Seen| {
            let (mut reached, mut next) = (BTreeSet::new(), vec![it.place]);
            while let Some(place) = next.pop() {
                let upon = waits.get(&place).into_iter().flatten();
                next.extend(upon.filter(|place| reached.insert(**place)));
            }
            reached.contains(&it.place)
        };
        self.seen.iter().filter(is_in_one).collect()
    }

    fn conclusion(&self) -> String {
        let living: Vec<&Seen> = self.seen.iter().filter(|it| it.lives()).collect();
        let circle = self.circle();
        if let [first, ..] = &circle[..] {
            let names: Vec<_> = circle.iter().map(|it| it.name.as_str()).collect();
            let limit = match circle.iter().any(|it| it.has_a_limit()) {
                true => ", until a limit has passed",
                false => "",
            };
            return match &circle[..] {
                [_] => format!("{} waits for itself{limit}.", first.name),
                _ => format!("They wait in a circle{limit}: {}.", names.join(", ")),
            };
        }
        let all = living.iter().all(|it| it.waits());
        let limited = living.iter().filter(|it| it.has_a_limit());
        let limited: Vec<_> = limited.map(|it| it.name.as_str()).collect();
        match (living.is_empty(), all, limited.is_empty()) {
            (true, ..) => "All have ended.".to_owned(),
            (_, true, true) => {
                "All wait, and none has a limit: as it looks, nobody can go on.".to_owned()
            }
            (_, true, false) => format!(
                "All wait: as it looks, nobody can go on before a limit has passed, of {}.",
                limited.join(", ")
            ),
            _ => "Who goes on may wake others: look again to see whether they do.".to_owned(),
        }
    }
}

impl fmt::Display for Waits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let living = self.seen.iter().filter(|it| it.lives()).count();
        let waiting = self.seen.iter().filter(|it| it.waits()).count();
        let noun = if living == 1 { "process" } else { "processes" };
        writeln!(f, "{waiting} of {living} living {noun} wait")?;
        let line = |it: &Seen, nap: &Nap| format!("  {} waits for {}", it.name, nap.what);
        let naps = self
            .seen
            .iter()
            .flat_map(|it| it.naps.iter().map(move |nap| line(it, nap)));
        let width = naps.map(|line| line.chars().count()).max().unwrap_or(0);
        for it in &self.seen {
            for nap in &it.naps {
                let line = format!("{:width$}  {}", line(it, nap), nap.caller);
                writeln!(f, "{}", line.trim_end())?;
                writeln!(f, "    {}", nap.more(self.now))?;
            }
            match &it.life {
                Life::Ended(how) => writeln!(f, "  {} {how}", it.name)?,
                Life::Serves => writeln!(f, "  {} only answers the others", it.name)?,
                Life::Lives(_) if it.naps.is_empty() => {
                    writeln!(f, "  {} {}", it.name, it.goes_on())?;
                }
                Life::Lives(Some((b'T' | b't', _))) => writeln!(f, "    and it is stopped")?,
                Life::Lives(_) if !it.waits() => writeln!(f, "    and other threads go on")?,
                Life::Lives(_) => {}
            }
        }
        if !self.shares_pids {
            writeln!(
                f,
                "They are in another pid namespace, whose pids these are."
            )?;
        }
        write!(f, "{}", self.conclusion())
    }
}

impl Nap {
    /// How long, and what it holds.
    fn more(&self, now: Duration) -> String {
        let took = now.saturating_sub(self.since).as_secs();
        let mut text = match took {
            ..120 => format!("for {took} s"),
            120..7200 => format!("for {} min", took / 60),
            _ => format!("for {} h", took / 3600),
        };
        if self.is_limited {
            text.push_str(", with a limit");
        }
        if !self.holds.is_empty() {
            let _ = write!(text, "; it holds {}", self.holds);
        }
        text
    }
}
