//! Two locks that are taken in both orders: a deadlock that has not happened yet.

use std::collections::{BTreeSet, HashMap};

use common::trace::{Act, Event, ObjectId, Outcome, What};

/// What happened before, for each process how far it was.
type Clock = HashMap<u32, u64>;

/// One lock was taken while another one was held.
struct Step {
    pid: u32,
    at: u64,
    seen: Clock,
    held: ObjectId,
    taken: ObjectId,
    /// What else was held.
    beside: BTreeSet<ObjectId>,
}

/// Two processes that took two locks in opposite orders, waiting, where nothing keeps the two
/// apart: no third lock that both hold, and neither has always ended, or been told something, before
/// the other one begins. Their pids, and where each lock was made.
pub fn opposite(events: impl Iterator<Item = Event>) -> Option<(u32, u32, [String; 2])> {
    let mut clocks: HashMap<u32, Clock> = HashMap::new();
    let mut spawning: HashMap<u32, Clock> = HashMap::new();
    let mut said: HashMap<ObjectId, Clock> = HashMap::new();
    let mut held: HashMap<u32, BTreeSet<ObjectId>> = HashMap::new();
    let mut made: HashMap<ObjectId, String> = HashMap::new();
    let mut steps: Vec<Step> = Vec::new();
    for (at, event) in (1..).zip(events) {
        let pid = event.pid;
        clocks.entry(pid).or_default().insert(pid, at);
        match event.what {
            What::Born { parent, .. } => {
                // What the parent has learned since is no news to the child, which may begin late.
                let parents = spawning.get(&parent).cloned().unwrap_or_default();
                join(clocks.entry(pid).or_default(), &parents);
                held.remove(&pid); // of a process that had this number before
            }
            What::Before {
                act: Act::Spawn, ..
            } => {
                spawning.insert(pid, clocks[&pid].clone());
            }
            What::Ended { pid: child, .. } => {
                let childs = clocks.get(&child).cloned().unwrap_or_default();
                join(clocks.entry(pid).or_default(), &childs);
            }
            What::Made {
                object,
                kind,
                place,
            } => {
                made.insert(object, format!("the {kind} made at {place}"));
            }
            What::Before {
                act: Act::Put,
                object: Some(object),
                ..
            } => {
                join(said.entry(object).or_default(), &clocks[&pid]);
            }
            What::After {
                act: Act::Get,
                object: Some(object),
                outcome: Outcome::Done,
                ..
            } => {
                let before = said.get(&object).cloned().unwrap_or_default();
                join(clocks.entry(pid).or_default(), &before);
            }
            What::Before {
                act: Act::Lock,
                object: Some(taken),
                limited: false,
                ..
            } => {
                let all = held.get(&pid).cloned().unwrap_or_default();
                for &held in &all {
                    let is_other = |it: &&ObjectId| **it != held && **it != taken;
                    let beside = all.iter().filter(is_other).copied().collect();
                    let step = Step {
                        pid,
                        at,
                        seen: clocks[&pid].clone(),
                        held,
                        taken,
                        beside,
                    };
                    let is_known = |it: &Step| {
                        (it.pid, it.held, it.taken, &it.beside)
                            == (step.pid, step.held, step.taken, &step.beside)
                    };
                    // The first and the last time of each kind are enough to find one.
                    match steps.iter().filter(|it| is_known(it)).count() {
                        0 | 1 => steps.push(step),
                        _ => {
                            let last = steps.iter().rposition(is_known);
                            last.into_iter().for_each(|last| steps[last].at = at);
                            last.into_iter()
                                .for_each(|last| steps[last].seen = step.seen.clone());
                        }
                    }
                }
            }
            What::After {
                act: Act::Lock,
                object: Some(object),
                outcome: Outcome::Done,
                ..
            } => {
                held.entry(pid).or_default().insert(object);
            }
            What::Before {
                act: Act::Unlock,
                object: Some(object),
                ..
            } => {
                held.entry(pid).or_default().remove(&object);
            }
            _ => {}
        }
    }
    let are_apart = |a: &Step, b: &Step| {
        let is_before = |a: &Step, b: &Step| b.seen.get(&a.pid).is_some_and(|&seen| seen >= a.at);
        is_before(a, b) || is_before(b, a) || !a.beside.is_disjoint(&b.beside)
    };
    let mut pairs = steps.iter().flat_map(|a| steps.iter().map(move |b| (a, b)));
    let (a, b) = pairs.find(|(a, b)| {
        a.pid != b.pid && a.held == b.taken && a.taken == b.held && !are_apart(a, b)
    })?;
    let name = |object| {
        made.get(&object)
            .cloned()
            .unwrap_or_else(|| "a lock".to_owned())
    };
    Some((a.pid, b.pid, [name(a.held), name(a.taken)]))
}

fn join(clock: &mut Clock, other: &Clock) {
    for (&pid, &at) in other {
        let mine = clock.entry(pid).or_default();
        *mine = at.max(*mine);
    }
}
