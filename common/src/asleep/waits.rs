//! What an onlooker saw, and what follows from that.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write};
use std::time::Duration;

use super::family::SHOWN;
use super::table::CELLS;

/// What an [`Onlooker`](super::Onlooker) saw. As text: how many wait, a line or two for each
/// process, and what follows from that.
#[derive(Debug)]
pub struct Waits {
    pub(super) seen: Vec<Seen>,
    /// Lines about those that have ended.
    pub(super) dead: String,
    pub(super) shares_pids: bool,
    pub(super) now: Duration,
}

/// A process that has not ended.
#[derive(Debug)]
pub(super) struct Seen {
    pub place: usize,
    pub depth: u32,
    pub name: String,
    pub life: Life,
    pub naps: Vec<Nap>,
}

#[derive(Debug)]
pub(super) enum Life {
    /// Its state, as the system has it, and how many threads it has.
    Lives(Option<(u8, usize)>),
    Serves,
    /// The table knows no more of it than this.
    Elsewhere(&'static str),
}

/// A thread that waits.
#[derive(Debug)]
pub(super) struct Nap {
    pub is_limited: bool,
    /// The place of the process upon which it depends.
    pub upon: Option<usize>,
    pub what: String,
    pub caller: String,
    pub since: Duration,
    pub holds: String,
}

impl Seen {
    /// Whether each of its threads waits.
    fn waits(&self) -> bool {
        let threads = match self.life {
            Life::Lives(Some((_, threads))) => threads,
            _ => 1,
        };
        self.naps.len() >= threads.max(1)
    }

    fn serves(&self) -> bool {
        matches!(self.life, Life::Serves)
    }

    fn has_a_limit(&self) -> bool {
        self.naps.iter().any(|nap| nap.is_limited)
    }

    /// What it does that does not wait.
    fn does(&self) -> &'static str {
        match self.life {
            Life::Lives(Some((b'R', _))) => "goes on: it runs",
            Life::Lives(Some((b'T' | b't', _))) => "is stopped",
            Life::Lives(Some(_)) => "goes on: it sleeps in another way, or since a moment ago",
            Life::Lives(None) => "goes on",
            Life::Serves => "only answers the others",
            Life::Elsewhere(what) => what,
        }
    }

    /// And what else there is to say of one that does.
    fn besides(&self) -> Option<&'static str> {
        match self.life {
            Life::Lives(Some((b'T' | b't', _))) => Some("it is stopped"),
            _ if self.waits() => None,
            _ if self.naps.len() >= CELLS => Some("of its other threads nothing is known"),
            _ => Some("other threads go on, or wait since a moment ago"),
        }
    }
}

impl Waits {
    /// Whether all processes of the family have ended.
    pub fn are_over(&self) -> bool {
        self.seen.is_empty()
    }

    /// Those that wait for themselves, by way of others, in turn: if each of their threads waits for
    /// one process, and so do those for which they wait.
    fn circle(&self) -> Vec<&Seen> {
        let waiting = self.seen.iter().filter(|it| it.waits());
        let waits: BTreeMap<usize, Vec<usize>> = waiting
            .filter_map(|it| {
                let upon: Option<_> = it.naps.iter().map(|nap| nap.upon).collect();
                Some((it.place, upon?))
            })
            .collect();
        let is_in_one = |it: &&Seen| {
            let (mut reached, mut next) = (BTreeSet::new(), vec![it.place]);
            while let Some(place) = next.pop() {
                let Some(upon) = waits.get(&place) else {
                    return false;
                };
                next.extend(upon.iter().filter(|place| reached.insert(**place)));
            }
            reached.contains(&it.place)
        };
        self.seen.iter().filter(is_in_one).collect()
    }

    fn conclusion(&self) -> String {
        let circle = self.circle();
        let limit = match circle.iter().any(|it| it.has_a_limit()) {
            true => ", until a limit has passed",
            false => "",
        };
        match &circle[..] {
            [] => {}
            [one] => return format!("{} waits for itself{limit}.", one.name),
            all => return format!("They wait in a circle{limit}: {}.", names(all)),
        }
        let living: Vec<&Seen> = self.seen.iter().filter(|it| !it.serves()).collect();
        let limited = living.iter().filter(|it| it.has_a_limit());
        let limited: Vec<&Seen> = limited.copied().collect();
        if living.is_empty() {
            "All have ended.".to_owned()
        } else if !living.iter().all(|it| it.waits()) {
            "Who goes on may wake others: look again to see whether they do.".to_owned()
        } else if limited.is_empty() {
            "All wait, and none has a limit: as it looks, nobody can go on.".to_owned()
        } else {
            format!(
                "All wait: as it looks, nobody can go on before a limit has passed, of {}.",
                names(&limited)
            )
        }
    }
}

/// Not of too many.
fn names(all: &[&Seen]) -> String {
    let names: Vec<_> = all.iter().map(|it| it.name.as_str()).collect();
    match names.split_at_checked(SHOWN) {
        Some((shown, more @ [_, ..])) => format!("{} and {} more", shown.join(", "), more.len()),
        _ => names.join(", "),
    }
}

impl fmt::Display for Waits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let living = self.seen.iter().filter(|it| !it.serves()).count();
        let waiting = self.seen.iter().filter(|it| it.waits()).count();
        let noun = if living == 1 { "process" } else { "processes" };
        write!(f, "{waiting} of {living} living {noun} wait")?;
        let line = |it: &Seen, nap: &Nap| format!("  {} waits for {}", it.name, nap.what);
        let naps = self
            .seen
            .iter()
            .flat_map(|it| it.naps.iter().map(move |nap| line(it, nap)));
        let width = naps.map(|line| line.chars().count()).max().unwrap_or(0);
        for it in &self.seen {
            for nap in &it.naps {
                let line = format!("{:width$}  {}", line(it, nap), nap.caller);
                write!(f, "\n{}\n    {}", line.trim_end(), nap.more(self.now))?;
            }
            match it.besides() {
                _ if it.naps.is_empty() => write!(f, "\n  {} {}", it.name, it.does())?,
                Some(more) => write!(f, "\n    and {more}")?,
                None => {}
            }
        }
        f.write_str(&self.dead)?;
        if !self.shares_pids {
            f.write_str("\nThey are in another pid namespace, whose pids these are.")?;
        }
        write!(f, "\n{}", self.conclusion())
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
