//! The processes of a family, in one table that all of them have.
//!
//! It is in a file of memory that they have open, too, so that an onlooker finds it. Nobody uses
//! that descriptor, so that a program may close it.

use std::cell::Cell;
use std::cmp::Reverse;
use std::fmt;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::{AsRawFd, IntoRawFd};
use std::os::unix::process::ExitStatusExt;
use std::panic::Location;
use std::process::{self, ExitStatus};
use std::sync::OnceLock;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;
use std::{env, mem, ptr, thread};

use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::mman::ProtFlags;
use nix::sys::resource::{Resource, getrlimit};

use super::system::{self, Fate};
use super::table::{CELLS, Slot, State, Table, Tenant, Upon};
use crate::atomic::{AtomicU32, AtomicU64, Ordering::*};
use crate::deadline::now;
use crate::guards;
use crate::memory::{SharedMemory, Text};
use crate::words::complain;

/// How many processes of a family have a place at a time; while there are more, nobody is told that
/// all of them sleep, as the others are strangers.
const PLACES: usize = 1024;

/// In what somebody waits for: the name of the process without which it cannot come.
pub(crate) const OWNER: &str = "\u{1}";

/// What an onlooker knows the file by.
pub(super) const FILE: &str = "mp-who-waits";
/// And its content, of this version.
pub(super) const MAGIC: u64 = u64::from_le_bytes(*b"whowait1");
/// Nobody makes it shorter, which would end all that have it mapped, and nobody writes there but
/// those.
pub(super) const SEALS: SealFlag = SealFlag::F_SEAL_SHRINK
    .union(SealFlag::F_SEAL_GROW)
    .union(SealFlag::F_SEAL_FUTURE_WRITE)
    .union(SealFlag::F_SEAL_SEAL);

/// All zeroes at first.
#[repr(C)]
pub(super) struct Family {
    magic: AtomicU64,
    round: AtomicU64,
    /// Where to look for a free place: those of the dead are kept for a while, to name them.
    next: AtomicU32,
    /// How many have ended.
    deaths: AtomicU32,
    slots: [Slot; PLACES],
    members: [Member; PLACES],
    notes: [[Note; CELLS]; PLACES],
}

/// What a sleeping thread says of itself.
struct Note {
    /// Since when, in nanoseconds on the clock of deadlines.
    since: AtomicU64,
    /// For what it waits, and in the next line where it was called.
    what: Text<256>,
    /// The locks that it holds.
    holds: Text<256>,
}

/// What is known of a process.
struct Member {
    /// How many processes there are between it and the root.
    depth: AtomicU32,
    /// Its wait status in the lower half if it is [`KNOWN`], or [`ELSEWHERE`].
    end: AtomicU64,
    /// The how manieth end that was.
    death: AtomicU32,
    /// Not 0 once somebody was told that this process can never go on.
    is_given_up: AtomicU32,
    name: Text<48>,
}

/// How a process has ended, and the how manieth end that was.
pub(super) type End = (Fate, u32);

/// How many of the processes that have ended are named.
pub(super) const SHOWN: usize = 8;

/// A line for each that has ended, but not for too many: first those that did not end well, and the
/// last.
pub(super) fn the_dead(all: impl IntoIterator<Item = (End, String)>) -> String {
    let all = all.into_iter();
    let mut all: Vec<_> = all
        .map(|((how, death), name)| (how.is_well(), Reverse(death), format!("\n  {name} {how}")))
        .collect();
    all.sort();
    let lines = all.iter().take(SHOWN).map(|(_, _, line)| line.as_str());
    let mut lines: String = lines.collect();
    if let Some(more @ 1..) = all.len().checked_sub(SHOWN) {
        lines.push_str(&format!("\n  and {more} more have ended"));
    }
    lines
}

const KNOWN: u64 = 1 << 32;
const ELSEWHERE: u64 = 1 << 33;

/// Knows which locks this thread holds.
pub(crate) static HOLDS: OnceLock<fn() -> String> = OnceLock::new();

static FAMILY: OnceLock<Option<&'static Family>> = OnceLock::new();
/// This process's place, and 1; 0 if it has none.
static MINE: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// The place that this thread has taken for a child that it forks.
    static CHILD: Cell<Option<(usize, Tenant)>> = const { Cell::new(None) };
}

/// Makes the table, with this process as the root, unless there is one or it is not wanted.
pub(crate) fn found() {
    extern "C" fn before() {
        CHILD.set(family().and_then(Family::place_for_a_child));
    }
    extern "C" fn in_child() {
        let claimed = CHILD.take();
        MINE.store(claimed.map_or(0, |(place, _)| place + 1), Relaxed);
        if let (Some(family), Some(claimed), false) = (family(), claimed, guards::none_is_held()) {
            let born = family.is_born(claimed, process::id(), "a fork");
            // With its parent killed, somebody may have taken the place for free.
            if family.table().tenant(claimed.0) != born {
                MINE.store(0, Relaxed);
            }
        }
    }
    FAMILY.get_or_init(|| {
        if !is_wanted() {
            return None;
        }
        let memory = in_a_file().or_else(|_| SharedMemory::<Family, ()>::new(0));
        let memory = mem::ManuallyDrop::new(memory.ok()?);
        // SAFETY: zeroes are a family of nobody, and it stays mapped.
        let family = unsafe { memory.head().as_ref() };
        let root = family.table().claim(0, 0)?;
        family.is_born(root, process::id(), "main");
        MINE.store(root.0 + 1, Relaxed);
        family.next.store(1, Relaxed);
        family.magic.store(MAGIC, Release);
        // SAFETY: the handlers write to what is theirs at a fork.
        unsafe { libc::pthread_atfork(Some(before), None, Some(in_child)) };
        Some(family)
    });
}

/// The descriptor stays open.
fn in_a_file() -> io::Result<SharedMemory<Family, ()>> {
    let size = size_of::<Family>() as u64;
    // A file that is larger than the system allows ends the process.
    if getrlimit(Resource::RLIMIT_FSIZE)?.0 < size {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    let file = File::from(memfd_create(FILE, flags)?);
    file.set_len(size)?;
    let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    // SAFETY: it is that long, and nobody else has it yet.
    let memory = unsafe { SharedMemory::of(&file, 0, protection) }?;
    fcntl(&file, FcntlArg::F_ADD_SEALS(SEALS))?;
    // Standard output may be closed, and must not become this.
    if file.as_raw_fd() <= libc::STDERR_FILENO {
        fcntl(&file, FcntlArg::F_DUPFD_CLOEXEC(libc::STDERR_FILENO + 1))?;
    } else {
        let _ = file.into_raw_fd();
    }
    Ok(memory)
}

/// The longest nap in milliseconds, if it is not as long as the one who naps wants.
static NAP: AtomicU64 = AtomicU64::new(u64::MAX);

pub(super) fn longest_nap() -> Duration {
    Duration::from_millis(NAP.load(Relaxed))
}

/// `MP_ASLEEP=off` switches all of this off; with a number, naps are at most so many milliseconds
/// long, which is for tests that would provoke a false alarm.
fn is_wanted() -> bool {
    match env::var_os("MP_ASLEEP") {
        None => true,
        Some(value) if value == "off" => false,
        Some(value) => {
            let nap = value.to_str().and_then(|value| value.parse().ok());
            if let Some(nap @ 1..) = nap {
                NAP.store(nap, Relaxed);
                return true;
            }
            complain(&format!(
                "MP_ASLEEP is {value:?}, which means nothing: it can be \"off\""
            ));
            true
        }
    }
}

pub(super) fn family() -> Option<&'static Family> {
    *FAMILY.get()?
}

/// This process's place.
pub(super) fn mine() -> Option<usize> {
    MINE.load(Relaxed).checked_sub(1)
}

/// To be called before a process complains. If another was told that nobody can go on, this one is
/// about to be ended with all others, one after the other, and would complain of nothing but that.
pub(crate) fn give_way() {
    let given_up =
        |mine: usize| family().is_some_and(|it| it.members[mine].is_given_up.load(Relaxed) != 0);
    if mine().is_some_and(given_up) {
        thread::sleep(Duration::from_millis(500));
    }
}

/// A child of this process, in the table.
#[derive(Debug)]
pub(crate) struct Child(Option<(usize, Tenant)>);

impl Child {
    #[cfg(test)]
    pub fn none() -> Child {
        Child(None)
    }

    /// After a fork of the crate's own, in the parent.
    pub fn forked(pid: u32, name: &str) -> Child {
        let child = family().zip(CHILD.take());
        Child(child.map(|(family, claimed)| (claimed.0, family.is_born(claimed, pid, name))))
    }

    /// After one that failed.
    pub fn not_forked() {
        if let Some((family, (place, nobody))) = family().zip(CHILD.take()) {
            family.table().set(place, nobody, State::Free);
        }
    }

    /// It never does anything but answer those who wait for that.
    pub fn only_answers(&mut self) {
        if let (Some(family), Some((place, tenant))) = (family(), &mut self.0) {
            *tenant = family.table().set(*place, *tenant, State::Serving);
        }
    }

    /// Whether it is asleep in the table, or awake: not if it runs another program, or has ended.
    pub fn is_listed(&self) -> bool {
        let is = |(family, (place, tenant)): (&Family, _)| family.table().tenant(place) == tenant;
        family().zip(self.0).is_some_and(is)
    }

    pub fn ended(&self, status: ExitStatus) {
        if let (Some(family), Some((place, tenant))) = (family(), self.0) {
            family.ends(
                place,
                tenant,
                KNOWN | u64::from(status.into_raw().cast_unsigned()),
            );
        }
    }
}

impl Family {
    pub fn table(&self) -> Table<'_> {
        Table {
            round: &self.round,
            slots: &self.slots,
        }
    }

    fn place_for_a_child(&self) -> Option<(usize, Tenant)> {
        let start = self.next.fetch_add(1, Relaxed) as usize % PLACES;
        let claimed = self.table().claim(start, process::id());
        if let Some((place, _)) = claimed {
            let depth = mine().map_or(0, |mine| self.depth(mine)) + 1;
            self.members[place].depth.store(depth, Relaxed);
        }
        claimed
    }

    fn is_born(&self, (place, nobody): (usize, Tenant), pid: u32, name: &str) -> Tenant {
        let member = &self.members[place];
        member.name.write(name);
        member.end.store(0, Relaxed);
        member.is_given_up.store(0, Relaxed);
        self.table().set_pid(place, pid);
        self.table().set(place, nobody, State::Live)
    }

    fn ends(&self, place: usize, tenant: Tenant, end: u64) -> Tenant {
        // In this order: once it has ended, the place may be another's.
        if self.table().tenant(place).is_same(tenant) {
            let member = &self.members[place];
            member
                .death
                .store(self.deaths.fetch_add(1, Relaxed), Relaxed);
            member.end.store(end, Relaxed);
        }
        self.table().set(place, tenant, State::Ended)
    }

    /// Notes that a process has ended, if it has.
    pub fn bury(&self, place: usize) -> bool {
        let tenant = self.table().tenant(place);
        if tenant.state() == State::Forking {
            // Killed before it could say whom it has forked. Such a child ends with it, and one
            // that does not is found by its memory.
            let ended = matches!(system::fate(tenant.forker(), true), Fate::Ended(_));
            if ended {
                self.table().set(place, tenant, State::Free);
            }
            return ended;
        }
        let end = match system::fate(self.table().pid(place), self.depth(place) == 0) {
            Fate::Lives => return false,
            Fate::Ended(None) => 0,
            Fate::Ended(Some(status)) => KNOWN | u64::from(status.cast_unsigned()),
            Fate::RunsAnotherProgram => ELSEWHERE,
        };
        self.ends(place, tenant, end);
        true
    }

    /// See [`system::is_quiet`].
    pub fn is_quiet(&self, place: usize, threads: Option<usize>) -> bool {
        system::is_quiet(self.table().pid(place), threads)
    }

    /// Whether a process has this table, and is not in it.
    pub fn has_strangers(&self) -> bool {
        let lives = |&place: &usize| {
            let state = self.table().tenant(place).state();
            matches!(state, State::Live | State::Serving)
        };
        let known: Vec<u32> = self
            .places()
            .filter(lives)
            .map(|place| self.table().pid(place))
            .collect();
        system::is_mapped_elsewhere(ptr::from_ref(self).addr(), &known)
    }

    pub fn places(&self) -> Range<usize> {
        0..PLACES
    }

    pub fn depth(&self, place: usize) -> u32 {
        self.members[place].depth.load(Relaxed)
    }

    pub fn give_up(&self, place: usize) {
        self.members[place].is_given_up.store(1, Relaxed);
    }

    /// The place of the living process with this pid.
    pub fn place_of(&self, pid: u32) -> Option<usize> {
        let lives = |&place: &usize| {
            pid != 0
                && self.table().pid(place) == pid
                && self.table().tenant(place).state() == State::Live
        };
        self.places().find(lives)
    }

    /// A process's name and pid, as for people.
    pub fn name(&self, place: usize) -> String {
        let (name, pid) = (self.members[place].name.read(), self.table().pid(place));
        match self.depth(place) {
            0 => format!("main (pid {pid})"),
            _ => format!("{name:?} (pid {pid})"),
        }
    }

    pub fn end(&self, place: usize) -> End {
        let member = &self.members[place];
        let how = match member.end.load(Relaxed) {
            0 => Fate::Ended(None),
            ELSEWHERE => Fate::RunsAnotherProgram,
            status => Fate::Ended(Some((status as u32).cast_signed())),
        };
        (how, member.death.load(Relaxed))
    }

    /// [`MAGIC`], or 0 until it is made.
    pub fn version(&self) -> u64 {
        self.magic.load(Acquire)
    }

    /// A thread of this process falls asleep.
    pub fn note(
        &self,
        place: usize,
        cell: usize,
        what: fmt::Arguments<'_>,
        caller: Option<&Location<'_>>,
    ) {
        let caller = caller.map(|at| format!("\n{}:{}", at.file(), at.line()));
        let note = &self.notes[place][cell];
        note.since.store(now().as_nanos() as u64, Relaxed);
        let what = format!("{what}{}", caller.unwrap_or_default());
        note.what.write(&what);
        let holds = match (HOLDS.get(), guards::held()) {
            (Some(holds), Some(1..)) => holds(),
            _ => String::new(),
        };
        note.holds.write(&holds);
    }

    /// What a sleeping thread says it waits for, and where it was called.
    pub fn reason(&self, place: usize, cell: usize, upon: Upon) -> (String, String) {
        let text = self.notes[place][cell].what.read();
        let (what, caller) = text.split_once('\n').unwrap_or((&text, ""));
        let what = what.replace(OWNER, &self.owner(upon));
        (what, caller.to_owned())
    }

    /// Since when it sleeps, and what it holds.
    pub fn since(&self, place: usize, cell: usize) -> (Duration, String) {
        let note = &self.notes[place][cell];
        let since = Duration::from_nanos(note.since.load(Relaxed));
        (since, note.holds.read())
    }

    /// The process without which a sleeper cannot go on, as for people.
    pub fn owner(&self, upon: Upon) -> String {
        let owner = upon.process().and_then(|pid| self.place_of(pid));
        owner.map_or("another process".into(), |owner| self.name(owner))
    }
}
