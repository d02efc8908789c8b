//! What the processes of a run have written down, put together: who is who, who waits for whom.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use common::trace::{Act, Event, ObjectId, Outcome, What};

use crate::family::Member;

/// A run up to now.
#[derive(Default, Debug)]
pub struct Story {
    names: HashMap<u32, String>,
    /// Who is asleep without a limit.
    asleep: HashMap<u32, Wait>,
    /// What a process is about to do.
    doing: HashMap<u32, (Act, Option<ObjectId>)>,
    /// How often it has begun a call that is written down.
    calls: HashMap<u32, u64>,
    /// How often a limit was over.
    in_vain: HashMap<u32, u64>,
    /// Who has put to, and got from what is shared, and who has made it.
    put: HashMap<ObjectId, BTreeSet<u32>>,
    got: HashMap<ObjectId, BTreeSet<u32>>,
    maker: HashMap<ObjectId, u32>,
    /// How often something was done.
    counts: BTreeMap<&'static str, u64>,
    /// Ends that were no success, in order: who, and how.
    pub failures: Vec<(u32, std::process::ExitStatus)>,
    /// Grows with each event that brings the program on.
    pub progress: u64,
    /// How many events there were, and at which the last progress was.
    length: u64,
    last: u64,
}

/// So many events without progress are enough to say that there is none.
const FRUITLESS: u64 = 1000;

#[derive(Debug)]
struct Wait {
    reason: String,
    place: String,
    upon: Option<u32>,
}

impl Story {
    /// What these events tell.
    pub fn of(events: impl Iterator<Item = Event>) -> Story {
        let mut story = Story::default();
        for event in events {
            let before = story.progress;
            story.add(event);
            story.length += 1;
            if story.progress > before {
                story.last = story.length;
            }
        }
        story
    }

    /// Whether it got on to the last, if there was no room for what came then.
    pub fn got_on(&self) -> bool {
        self.length - self.last < FRUITLESS
    }

    fn add(&mut self, event: Event) {
        let pid = event.pid;
        match event.what {
            What::Born { name, .. } => {
                self.count(if name == "main" { "program" } else { "process" });
                self.names.insert(pid, name);
            }
            What::Ended { pid: child, status } => {
                self.progress += 1;
                self.asleep.remove(&child);
                if !status.success() {
                    self.failures.push((child, status));
                }
            }
            What::Made { object, .. } => {
                self.maker.insert(object, pid);
            }
            // The end that it waits for is told, and so is what it does when it is called back.
            What::Before {
                act: Act::Join | Act::Call,
                ..
            }
            | What::After {
                act: Act::Join | Act::Call,
                ..
            } => {}
            What::Before { act, object, .. } => {
                self.doing.insert(pid, (act, object));
                *self.calls.entry(pid).or_default() += 1;
            }
            What::After {
                act,
                object,
                outcome,
                ..
            } => {
                self.doing.remove(&pid);
                if outcome == Outcome::TimedOut {
                    *self.in_vain.entry(pid).or_default() += 1;
                }
                if outcome != Outcome::Done {
                    return;
                }
                self.count(act.name());
                // Who takes a lock, or looks into a pipe, again and again does not get on by that.
                if !matches!(act, Act::Lock | Act::Unlock | Act::Claim) {
                    self.progress += 1;
                }
                let users = match act {
                    Act::Put => &mut self.put,
                    Act::Get => &mut self.got,
                    _ => return,
                };
                if let Some(object) = object {
                    users.entry(object).or_default().insert(pid);
                }
            }
            What::Close { .. } => self.count("close"),
            What::Asleep {
                reason,
                place,
                upon,
            } => {
                self.asleep.insert(
                    pid,
                    Wait {
                        reason,
                        place,
                        upon,
                    },
                );
            }
            What::Awake => {
                self.asleep.remove(&pid);
            }
            _ => {}
        }
    }

    fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
        if matches!(what, "process" | "program" | "close") {
            self.progress += 1;
        }
    }

    /// How often something was done, by its word.
    pub fn times(&self, what: &str) -> u64 {
        self.counts.get(what).copied().unwrap_or(0)
    }

    /// What has moved, in words.
    pub fn moved(&self) -> String {
        let counts = self
            .counts
            .iter()
            .map(|(what, times)| format!("{what} {times}"));
        counts.collect::<Vec<_>>().join(", ")
    }

    /// Whether the process waits in the library, without a limit.
    pub fn is_asleep(&self, pid: u32) -> bool {
        self.asleep.contains_key(&pid)
    }

    /// Whether it is in a call of the library.
    pub fn is_busy(&self, pid: u32) -> bool {
        self.doing.contains_key(&pid)
    }

    /// How often it has called the library, as far as that is written down.
    pub fn calls(&self, pid: u32) -> u64 {
        self.calls.get(&pid).copied().unwrap_or(0)
    }

    /// How often it has waited until a limit was over.
    pub fn waits_in_vain(&self, pid: u32) -> u64 {
        self.in_vain.get(&pid).copied().unwrap_or(0)
    }

    /// Its name, with its pid.
    pub fn name(&self, member: &Member) -> String {
        self.name_of(member.pid).unwrap_or_else(|| {
            let Member { pid, command, .. } = member;
            format!("the program {command:?} (pid {pid})")
        })
    }

    /// The name that it was spawned with, and its pid.
    pub fn name_of(&self, pid: u32) -> Option<String> {
        Some(format!("{:?} (pid {pid})", self.names.get(&pid)?))
    }

    /// The name that it was spawned with.
    pub fn plain_name(&self, pid: u32) -> Option<&str> {
        self.names.get(&pid).map(String::as_str)
    }

    /// For each that waits, in a sentence, what for.
    pub fn chain(&self, family: &[Member]) -> Vec<String> {
        let mut lines = Vec::new();
        for member in family.iter().filter(|it| it.is_alive()) {
            let name = self.name(member);
            lines.push(match self.asleep.get(&member.pid) {
                Some(Wait { reason, place, .. }) if place.is_empty() => {
                    format!("{name} waits for {reason}")
                }
                Some(Wait { reason, place, .. }) => {
                    format!("{name} waits for {reason}, at {place}")
                }
                None if member.waits_for_children() => {
                    format!("{name} waits for a child of its own to end")
                }
                None if member.state == 'T' => {
                    format!("{name} is stopped by a signal, and nobody lets it go on")
                }
                None => format!("{name} sleeps, in a call that is not this library's"),
            });
        }
        for (pid, status) in &self.failures {
            let name = self.name_of(*pid).unwrap_or_else(|| format!("pid {pid}"));
            lines.push(format!("{name} has ended before: {status}"));
        }
        lines
    }

    /// Whether some wait for each other in a circle. All of them are asleep.
    pub fn is_circle(&self, family: &[Member]) -> bool {
        let alive = family.iter().filter(|it| it.is_alive());
        let alive: HashMap<u32, &Member> = alive.map(|it| (it.pid, it)).collect();
        let upon: HashMap<u32, Vec<u32>> = alive
            .values()
            .map(|it| (it.pid, self.upon(it, family)))
            .collect();
        alive.keys().any(|&start| {
            let mut seen = HashSet::new();
            let mut next = upon[&start].clone();
            while let Some(pid) = next.pop() {
                if pid == start {
                    return true;
                }
                if seen.insert(pid) {
                    next.extend(upon.get(&pid).into_iter().flatten());
                }
            }
            false
        })
    }

    /// Who could end its wait.
    fn upon(&self, member: &Member, family: &[Member]) -> Vec<u32> {
        let me = member.pid;
        if member.waits_for_children() {
            let children = family.iter().filter(|it| it.parent == me && it.is_alive());
            return children.map(|it| it.pid).collect();
        }
        let upon = self.asleep.get(&me).and_then(|wait| wait.upon);
        let who = match (upon, self.doing.get(&me)) {
            (Some(upon), _) => vec![upon],
            (None, Some((Act::Put, Some(object)))) => match self.got.get(object) {
                Some(who) => who.iter().copied().collect(),
                None => self.maker.get(object).copied().into_iter().collect(),
            },
            (None, Some((Act::Get, Some(object)))) => self
                .put
                .get(object)
                .into_iter()
                .flatten()
                .copied()
                .collect(),
            _ => Vec::new(),
        };
        who.into_iter().filter(|&it| it != me).collect()
    }
}
