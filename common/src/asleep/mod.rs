//! Who waits for what cannot come.
//!
//! All that processes can wait for without a limit here, they wait for in [`wait`]: in naps, with a
//! look after each. Whoever has napped once in vain is **noted** in a table that the whole family
//! has (`family`), and confirms after each look that it was in vain. When each has confirmed that
//! it sleeps, nobody can ever wake anybody (`table` has the proof); what only the system knows,
//! `system` asks: whether a process has other threads, or may get a signal.
//!
//! The sleeper nearest the root looks whether it has come to that, and is the one to get the error.
//!
//! Who waits with a limit is noted, too, but counts as awake: that is for onlookers (`onlooker`).

mod family;
mod onlooker;
mod system;
mod table;
mod waits;

use std::fmt;
use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::deadline::{Deadline, LONGEST_SLEEP};
use crate::trace;
pub(crate) use family::{Child, HOLDS, OWNER, found, give_way};
use family::{Family, the_dead};
pub use onlooker::{LookError, Onlooker};
pub(crate) use table::Upon;
use table::{Picture, Sleep, State, Verdict};
pub use waits::Waits;

/// After so many looks a sleeper asks again whether the others live.
const PATIENCE: u32 = 16;
/// Nobody can go on: each of some processes waits, without a limit, for what only another of them
/// could do. Its text is one line that says so and then a line for each process: what it waits for,
/// and where it was called.
///
/// It is given when all living processes of a family sleep in calls of this crate, or when some
/// wait for each other (for a lock's owner, a child's end) while others go on; and to one of them,
/// the one nearest the first process. It is **never a false alarm**: it is proved, not guessed from
/// the time that passes. So there are waits that cannot be known to be in vain:
///
/// | who waits for what cannot come | is told? |
/// |---|---|
/// | all living processes of a family, in calls without a limit | yes, within seconds |
/// | some, for each other's locks, ends or manager's locks, whatever the others do | yes |
/// | some, for a queue, a pipe or a pool, while another process goes on | no: it might still put |
/// | beside a process that waits in another way: a sleep, a socket, input, a child's program | no: it will go on |
/// | beside a call with a limit, or a `try_` call in a loop | no: it comes back by itself |
/// | a process with a thread that does not wait here, such as those of rayon or tokio | no |
/// | a program with a handler for a signal (Ctrl-C among them), of its own or of a crate | no: it may do anything |
/// | a family of more than 1024 processes at a time | no |
/// | without `/proc`, or with processes that it does not show | no |
///
/// Where nobody is told, an [`Onlooker`] sees who waits for whom.
///
/// `MP_ASLEEP=off` in the environment switches it off. Python has nothing like it; Go's runtime has
/// (`all goroutines are asleep - deadlock!`), for the goroutines of one process.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Deadlock(String);

// An error that ends `main` is printed so.
impl fmt::Debug for Deadlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a look finds.
pub(crate) enum Look<T> {
    Found(T),
    InVain(Upon),
}

/// Naps until something is found or the deadline has passed, which is `None`. A `nap` has a longest
/// time; a `look` takes none, and tells whether what is waited for is there. If the caller could
/// wait for ever, `what` for is noted.
#[inline]
pub(crate) fn wait<T>(
    deadline: Deadline,
    longest: Duration,
    what: fmt::Arguments<'_>,
    mut nap: impl FnMut(Duration) -> Option<T>,
    mut look: impl FnMut() -> Look<T>,
) -> Result<Option<T>, Deadlock> {
    let mut noted = None;
    let mut longest_now = longest.min(LONGEST_SLEEP);
    loop {
        longest_now = longest_now.min(family::longest_nap());
        let limit = deadline.remaining().unwrap_or(longest_now).min(longest_now);
        if let Some(found) = nap(limit) {
            return Ok(Some(found));
        }
        let round = noted.as_ref().map_or(0, Noted::round);
        match look() {
            Look::Found(found) => return Ok(Some(found)),
            Look::InVain(_) if deadline.has_passed() => return Ok(None),
            Look::InVain(upon) => confirm(&mut noted, deadline, what, round, upon)?,
        }
        longest_now = longest;
    }
}

#[cold]
fn confirm(
    noted: &mut Option<Noted>,
    deadline: Deadline,
    what: fmt::Arguments<'_>,
    round: u64,
    upon: Upon,
) -> Result<(), Deadlock> {
    if let Some(noted) = noted {
        return noted.confirm(round, upon);
    }
    *noted = Noted::down(what, deadline, upon);
    Ok(())
}

/// A nap for [`wait`], until a message or an end can be read from one of these, for at most `limit`.
pub(crate) fn until_readable(
    descriptors: &mut [PollFd<'_>],
    limit: Duration,
) -> Option<io::Result<()>> {
    // Up, or a wait would turn into a spin in its last millisecond.
    let limit = PollTimeout::try_from(limit.as_micros().div_ceil(1000)).unwrap_or(PollTimeout::MAX);
    match poll(descriptors, limit) {
        Ok(0) | Err(Errno::EINTR) => None,
        Ok(_) => Some(Ok(())),
        Err(error) => Some(Err(error.into())),
    }
}

/// What such a nap is on.
pub(crate) fn readable(descriptor: &impl AsFd) -> PollFd<'_> {
    PollFd::new(descriptor.as_fd(), PollFlags::POLLIN)
}

/// A thread that sleeps, in the table as long as this lives.
struct Noted {
    family: &'static Family,
    sleep: Sleep,
    looks: u32,
    /// When to wonder about the others next: some naps are very short.
    next: Deadline,
    /// Those who may all be asleep, and the round in which each of them is to confirm it.
    suspects: Option<(Picture, u64)>,
    /// There is somebody who is in no table: after how many looks to see whether there still is.
    doubt: u32,
}

impl Drop for Noted {
    fn drop(&mut self) {
        // Not in a forked copy: the place is its parent's.
        if family::mine() == Some(self.sleep.slot) {
            self.family.table().wake_up(self.sleep);
            if !self.sleep.is_limited {
                trace::awake();
            }
        }
    }
}

impl Noted {
    fn down(what: fmt::Arguments<'_>, deadline: Deadline, upon: Upon) -> Option<Self> {
        let (family, mine) = (family::family()?, family::mine()?);
        let is_limited = deadline.is_limited();
        if !is_limited {
            trace::asleep(deadline.caller, upon.process(), || {
                what.to_string().replace(OWNER, &family.owner(upon))
            });
        }
        let note = |cell| family.note(mine, cell, what, deadline.caller);
        let sleep = family.table().fall_asleep(mine, is_limited, upon, note)?;
        Some(Noted {
            family,
            sleep,
            looks: 0,
            next: Deadline::NOW,
            suspects: None,
            doubt: 0,
        })
    }

    fn round(&self) -> u64 {
        self.family.table().round()
    }

    /// The sleeper has looked in vain, after it had read the round; an error if nobody can go on.
    fn confirm(&mut self, round: u64, upon: Upon) -> Result<(), Deadlock> {
        let table = self.family.table();
        if self.sleep.is_limited {
            table.depend(self.sleep, upon);
            return Ok(());
        }
        table.confirm(self.sleep, round, upon);
        self.looks += 1;
        if !self.next.has_passed() {
            return Ok(());
        }
        self.next = Deadline::after(LONGEST_SLEEP.min(family::longest_nap()) / 2);
        let Some((picture, round)) = self.suspects.take() else {
            self.suspects = self.suspect().map(|picture| (picture, table.begin_round()));
            return Ok(());
        };
        match table.verdict(&picture, round) {
            // Not for ever: one of them may have been killed.
            Verdict::Open if !self.looks.is_multiple_of(PATIENCE) => {
                self.suspects = Some((picture, round));
            }
            Verdict::NobodyCanGoOn if self.are_quiet(&picture) => {
                if picture.whole && self.family.has_strangers() {
                    self.doubt = self.looks.saturating_mul(2).max(PATIENCE); // it costs a lot
                    return Ok(());
                }
                let story = self.story(&picture);
                if trace::tell_deadlock(&story) {
                    self.doubt = u32::MAX; // it sleeps on, and need not wonder again
                    return Ok(());
                }
                let others = picture
                    .sleeps
                    .iter()
                    .filter(|it| it.slot != self.sleep.slot);
                others.for_each(|other| self.family.give_up(other.slot));
                return Err(Deadlock(story));
            }
            Verdict::Open | Verdict::Void | Verdict::NobodyCanGoOn => {}
        }
        Ok(())
    }

    /// Those who may never go on, if this sleeper is the one to tell.
    fn suspect(&mut self) -> Option<Picture> {
        if self.looks < self.doubt {
            return None;
        }
        let picture = self.all().or_else(|| self.circle())?;
        self.are_quiet(&picture).then_some(picture)
    }

    /// All processes, if they sleep.
    fn all(&self) -> Option<Picture> {
        if self.has_nearer(|_| true) {
            return None;
        }
        loop {
            match self.family.table().all() {
                // Somebody nearer may have fallen asleep since.
                Ok(picture) => {
                    let is_first = !picture.sleeps.iter().any(|it| self.is_nearer(it));
                    return is_first.then_some(picture);
                }
                Err(awake) if self.family.bury(awake) => {}
                Err(_) => return None,
            }
        }
    }

    /// Those who wait for each other, with those who wait for them, if this process is one of them.
    fn circle(&self) -> Option<Picture> {
        let mine = self.sleep.slot;
        let places = self.needed_by(mine)?;
        let waits_for_this = |place| {
            let needed = self.needed_by(place);
            needed.is_some_and(|needed| needed.contains(&mine))
        };
        if self.has_nearer(waits_for_this) {
            return None;
        }
        self.family.table().picture(false, places).ok()
    }

    /// A process and those without which it cannot go on, if each of them sleeps.
    fn needed_by(&self, place: usize) -> Option<Vec<usize>> {
        let table = self.family.table();
        let mut places = vec![place];
        let mut done = 0;
        while let Some(&place) = places.get(done) {
            let before = places.len();
            let mut sleeps = table.sleeps(place).peekable();
            sleeps.peek()?;
            for sleep in sleeps {
                let Upon::Process(upon) = table.upon(sleep) else {
                    return None;
                };
                let upon = self.family.place_of(upon)?;
                if !places[..before].contains(&upon) {
                    places.push(upon);
                }
            }
            done += 1;
        }
        Some(places)
    }

    /// How near the root a sleeper is; no two are alike.
    fn distance(&self, sleep: &Sleep) -> impl Ord + use<> {
        (self.family.depth(sleep.slot), sleep.slot, sleep.cell)
    }

    fn is_nearer(&self, other: &Sleep) -> bool {
        self.distance(other) < self.distance(&self.sleep)
    }

    /// Whether there is a sleeper nearer to the root, of a process that counts.
    fn has_nearer(&self, counts: impl Fn(usize) -> bool) -> bool {
        let table = self.family.table();
        self.family.places().any(|place| {
            let mut sleeps = table.sleeps(place);
            sleeps.any(|sleep| self.is_nearer(&sleep))
                && counts(place)
                // It may have been killed in its sleep.
                && !(self.looks.is_multiple_of(PATIENCE) && self.family.bury(place))
        })
    }

    /// Whether the system, too, knows of nobody and nothing that could wake one of them.
    fn are_quiet(&self, picture: &Picture) -> bool {
        picture.tenants.iter().all(|&(place, tenant)| {
            let sleeps = picture.sleeps.iter().filter(|sleep| sleep.slot == place);
            let threads = match tenant.state() {
                State::Live => Some(sleeps.count()),
                State::Serving => None,
                State::Free | State::Forking | State::Ended => return true,
            };
            self.family.is_quiet(place, threads) || {
                self.family.bury(place);
                false
            }
        })
    }

    fn story(&self, picture: &Picture) -> String {
        let family = self.family;
        let mut sleeps = picture.sleeps.clone();
        sleeps.sort_by_key(|sleep| self.distance(sleep));
        let lines = sleeps.iter().map(|&sleep| {
            let upon = family.table().upon(sleep);
            let (what, caller) = family.reason(sleep.slot, sleep.cell, upon);
            let line = format!("  {} waits for {what}", family.name(sleep.slot));
            (line, caller)
        });
        let lines: Vec<_> = lines.collect();
        let living = picture
            .tenants
            .iter()
            .filter(|(_, tenant)| tenant.state() == State::Live);
        let mut story = match (picture.whole, living.count()) {
            (true, 1) => "nobody can go on: the only living process waits".to_owned(),
            (true, count) => format!("nobody can go on: all {count} living processes wait"),
            (false, 1) => "a process waits for itself".to_owned(),
            (false, count) => format!("{count} processes wait for each other"),
        };
        let width = lines.iter().map(|(line, _)| line.chars().count()).max();
        for (line, caller) in &lines {
            let line = format!("\n{line:0$}  {caller}", width.unwrap_or(0));
            story.push_str(line.trim_end());
        }
        if picture.whole {
            story.push_str(&self.the_dead(picture));
        }
        story
    }

    fn the_dead(&self, picture: &Picture) -> String {
        let dead = picture
            .tenants
            .iter()
            .filter(|(_, tenant)| tenant.state() == State::Ended);
        the_dead(dead.map(|&(place, _)| (self.family.end(place), self.family.name(place))))
    }
}
