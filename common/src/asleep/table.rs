//! Who sleeps, in memory that a family shares, and the proof that nobody can go on.
//!
//! Each sleeper looks at its own condition again and again, and **confirms**: in which `round` it
//! was that it looked in vain. Whoever wonders whether all are asleep takes a [`Picture`] of them,
//! begins a new round, and waits until each sleeper of the picture has confirmed that round or a
//! later one, in the same sleep.
//!
//! Then nobody can go on. A sleeper that confirms has done nothing since it fell asleep, and its
//! condition, which it looked at after the picture was taken, did not hold. Only somebody in the
//! picture could make it hold. The first of them to do something would need a condition that holds;
//! but all were found not to, and nobody has done anything since.
//!
//! No time is involved: who is stopped, or was woken and has not run yet, does not confirm.

use crate::atomic::{AtomicU32, AtomicU64, Ordering::*};

/// How many threads of a process can be noted as asleep.
pub(super) const CELLS: usize = 16;

/// A process's place.
#[derive(Default)]
pub(super) struct Slot {
    /// A [`Tenant`].
    state: AtomicU64,
    pid: AtomicU32,
    /// The cells that threads have taken, a bit each, and those of them that are asleep.
    taken: AtomicU32,
    asleep: AtomicU32,
    /// Those that are asleep with a limit, for onlookers: the proof knows nothing of them.
    limited: AtomicU32,
    cells: [Cell; CELLS],
}

impl Slot {
    fn sleepers(&self, is_limited: bool) -> &AtomicU32 {
        match is_limited {
            true => &self.limited,
            false => &self.asleep,
        }
    }
}

/// A sleeping thread.
#[derive(Default)]
struct Cell {
    /// Counts the sleeps.
    sleep: AtomicU32,
    /// An [`Upon`].
    upon: AtomicU32,
    /// The last round in which a sleeper here has looked in vain.
    confirmed: AtomicU64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum State {
    Free,
    /// About to be forked.
    Forking,
    Live,
    /// It never acts on its own, but answers.
    Serving,
    Ended,
}

/// A [`State`] in the lowest byte, and which process's it is: in the upper half how often the place
/// was taken, so that what was meant for a process that is gone does not reach the next one, and
/// between the two the pid of the one that took it, to fork.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Tenant(u64);

impl Tenant {
    pub fn state(self) -> State {
        match self.0 & 0xff {
            0 => State::Free,
            1 => State::Forking,
            2 => State::Live,
            3 => State::Serving,
            _ => State::Ended,
        }
    }

    fn becomes(self, state: State) -> Self {
        Tenant(self.0 & !0xff | state as u64)
    }

    /// Whether both are the same process, whatever has become of it.
    pub fn is_same(self, other: Tenant) -> bool {
        self.0 >> 8 == other.0 >> 8
    }

    /// The process by which it was, or will be, forked.
    pub fn forker(self) -> u32 {
        self.0 as u32 >> 8
    }

    fn next(self, forker: u32) -> Self {
        let before = self.0 >> 32;
        Tenant((before + 1) << 32 | u64::from(forker) << 8).becomes(State::Forking)
    }
}

/// Upon whom it depends whether a condition comes to hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Upon {
    Anybody,
    /// Upon the process with this pid alone.
    Process(u32),
    /// Upon anybody; and this process's end would do it, too.
    AnybodyAndTheEndOf(u32),
}

/// No pid has it.
const END: u32 = 1 << 31;

impl Upon {
    /// The process upon which alone it depends.
    pub fn process(self) -> Option<u32> {
        match self {
            Upon::Process(pid) => Some(pid),
            Upon::Anybody | Upon::AnybodyAndTheEndOf(_) => None,
        }
    }

    fn encode(self) -> u32 {
        match self {
            Upon::Anybody => 0,
            Upon::Process(pid) => pid,
            Upon::AnybodyAndTheEndOf(pid) => pid | END,
        }
    }

    fn decode(word: u32) -> Self {
        match word {
            0 => Upon::Anybody,
            END.. => Upon::AnybodyAndTheEndOf(word & !END),
            pid => Upon::Process(pid),
        }
    }
}

/// A sleep of a thread.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Sleep {
    pub slot: usize,
    pub cell: usize,
    number: u32,
    /// For onlookers alone: it comes back by itself.
    pub is_limited: bool,
}

/// All processes, or some that wait for each other, as they slept at one moment.
pub(super) struct Picture {
    /// Whether it shows all.
    pub whole: bool,
    pub tenants: Vec<(usize, Tenant)>,
    pub sleeps: Vec<Sleep>,
}

/// What has become of those in a picture.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    /// Not all have confirmed yet.
    Open,
    /// Somebody has moved.
    Void,
    NobodyCanGoOn,
}

/// The table: its rounds and its places.
#[derive(Clone, Copy)]
pub(super) struct Table<'a> {
    pub round: &'a AtomicU64,
    pub slots: &'a [Slot],
}

impl Table<'_> {
    pub fn tenant(&self, slot: usize) -> Tenant {
        Tenant(self.slots[slot].state.load(Acquire))
    }

    pub fn pid(&self, slot: usize) -> u32 {
        self.slots[slot].pid.load(Relaxed)
    }

    /// To be said before the process is said to live.
    pub fn set_pid(&self, slot: usize, pid: u32) {
        self.slots[slot].pid.store(pid, Relaxed);
    }

    /// Takes a place, from `start` on, for a process that this one, the `forker`, is about to fork.
    pub fn claim(&self, start: usize, forker: u32) -> Option<(usize, Tenant)> {
        let all = self.slots.len();
        (0..all).map(|more| (start + more) % all).find_map(|slot| {
            let before = self.tenant(slot);
            if !matches!(before.state(), State::Free | State::Ended) {
                return None;
            }
            let (place, after) = (&self.slots[slot], before.next(forker));
            let claimed = place
                .state
                .compare_exchange(before.0, after.0, AcqRel, Relaxed);
            if claimed.is_ok() {
                place.pid.store(0, Relaxed);
                place.taken.store(0, Relaxed);
                place.asleep.store(0, Relaxed);
                place.limited.store(0, Relaxed);
            }
            claimed.is_ok().then_some((slot, after))
        })
    }

    /// Says what has become of a process, unless it is another's place by now.
    pub fn set(&self, slot: usize, before: Tenant, state: State) -> Tenant {
        let after = before.becomes(state);
        let word = &self.slots[slot].state;
        let _ = word.compare_exchange(before.0, after.0, AcqRel, Relaxed);
        after
    }

    /// A thread of the process falls asleep, when `describe` has said in this cell for what. `None`
    /// if there is no cell left: then it counts as awake, as it does with a limit.
    pub fn fall_asleep(
        &self,
        slot: usize,
        is_limited: bool,
        upon: Upon,
        describe: impl FnOnce(usize),
    ) -> Option<Sleep> {
        let place = &self.slots[slot];
        let cell = (0..CELLS).find(|cell| {
            let bit = 1 << cell;
            place.taken.load(Relaxed) & bit == 0 && place.taken.fetch_or(bit, Relaxed) & bit == 0
        })?;
        // What was confirmed in an earlier sleep was an earlier round than any that is to come.
        let number = place.cells[cell].sleep.load(Relaxed).wrapping_add(1);
        place.cells[cell].sleep.store(number, Release);
        let sleep = Sleep {
            slot,
            cell,
            number,
            is_limited,
        };
        self.depend(sleep, upon);
        describe(cell);
        place.sleepers(is_limited).fetch_or(1 << cell, Release);
        Some(sleep)
    }

    pub fn wake_up(&self, sleep: Sleep) {
        let place = &self.slots[sleep.slot];
        let bit = 1 << sleep.cell;
        place.sleepers(sleep.is_limited).fetch_and(!bit, Release);
        place.taken.fetch_and(!bit, Release);
    }

    /// To be read by a sleeper before it looks at its condition.
    pub fn round(&self) -> u64 {
        self.round.load(Acquire)
    }

    /// A sleeper has looked in vain, after this round had begun.
    pub fn confirm(&self, sleep: Sleep, round: u64, upon: Upon) {
        self.depend(sleep, upon);
        self.cell(sleep).confirmed.store(round, Release);
    }

    /// A sleeper says upon whom it depends. Whoever reads that and then the same sleep as before
    /// has not read what a later sleep says.
    pub fn depend(&self, sleep: Sleep, upon: Upon) {
        self.cell(sleep).upon.store(upon.encode(), Release);
    }

    fn cell(&self, sleep: Sleep) -> &Cell {
        &self.slots[sleep.slot].cells[sleep.cell]
    }

    /// Whether it still is that sleep.
    pub fn is_still(&self, sleep: Sleep) -> bool {
        let sleepers = self.slots[sleep.slot].sleepers(sleep.is_limited);
        let is_asleep = sleepers.load(Acquire) >> sleep.cell & 1 != 0;
        is_asleep && self.cell(sleep).sleep.load(Acquire) == sleep.number
    }

    /// Upon whom it depends whether the sleeper goes on, as it said last.
    pub fn upon(&self, sleep: Sleep) -> Upon {
        Upon::decode(self.cell(sleep).upon.load(Acquire))
    }

    /// The sleeping threads of a process that lives; none if one is not known to be asleep.
    pub fn sleeps(&self, slot: usize) -> impl Iterator<Item = Sleep> + use<'_> {
        self.sleepers(slot, false)
    }

    /// The same, or those that are asleep with a limit.
    pub fn sleepers(&self, slot: usize, is_limited: bool) -> impl Iterator<Item = Sleep> + use<'_> {
        let place = &self.slots[slot];
        let bits = match self.tenant(slot).state() {
            State::Live => place.sleepers(is_limited).load(Acquire),
            _ => 0,
        };
        let cells = (0..CELLS).filter(move |cell| bits >> cell & 1 != 0);
        cells.map(move |cell| Sleep {
            slot,
            cell,
            number: place.cells[cell].sleep.load(Acquire),
            is_limited,
        })
    }

    /// A picture of all, if all sleep; else a place whose process does not.
    pub fn all(&self) -> Result<Picture, usize> {
        self.picture(true, 0..self.slots.len())
    }

    /// A picture of some, if all of them sleep; else a place whose process does not.
    pub fn picture(
        &self,
        whole: bool,
        slots: impl IntoIterator<Item = usize>,
    ) -> Result<Picture, usize> {
        let (mut tenants, mut sleeps) = (Vec::new(), Vec::new());
        for slot in slots {
            let tenant = self.tenant(slot);
            let known = sleeps.len();
            tenants.push((slot, tenant));
            sleeps.extend(self.sleeps(slot));
            let awake = matches!(tenant.state(), State::Live) && sleeps.len() == known;
            if awake || tenant.state() == State::Forking {
                return Err(slot);
            }
        }
        Ok(Picture {
            whole,
            tenants,
            sleeps,
        })
    }

    /// Begins a round. Whoever confirms it has looked after what the caller has seen before.
    pub fn begin_round(&self) -> u64 {
        self.round.fetch_add(1, AcqRel) + 1
    }

    /// What can be said of a picture that was taken before this round began.
    pub fn verdict(&self, picture: &Picture, round: u64) -> Verdict {
        let mut all = true;
        for &sleep in &picture.sleeps {
            // In this order: what has been read is of this sleep if it still is that.
            let confirmed = self.cell(sleep).confirmed.load(Acquire);
            let upon = self.upon(sleep);
            if !self.is_still(sleep) {
                return Verdict::Void;
            }
            all &= confirmed >= round;
            if confirmed >= round && !self.is_covered(picture, upon) {
                return Verdict::Void;
            }
        }
        if picture
            .tenants
            .iter()
            .any(|&(slot, then)| self.tenant(slot) != then)
        {
            return Verdict::Void;
        }
        if all {
            Verdict::NobodyCanGoOn
        } else {
            Verdict::Open
        }
    }

    /// Whether all those upon whom a sleeper depends are in the picture, asleep themselves.
    fn is_covered(&self, picture: &Picture, upon: Upon) -> bool {
        let pid = match upon {
            Upon::Process(pid) => pid,
            Upon::AnybodyAndTheEndOf(pid) if picture.whole => pid,
            Upon::Anybody | Upon::AnybodyAndTheEndOf(_) => return picture.whole,
        };
        let living = |&(_, tenant): &&(usize, Tenant)| tenant.state() == State::Live;
        let mut places = picture.tenants.iter().filter(living);
        places.any(|&(slot, _)| self.pid(slot) == pid)
    }
}
