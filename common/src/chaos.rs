//! The unlikely, on purpose: with `MP_CHAOS=SEED` in its environment, a program yields and sleeps a
//! little wherever its processes meet, so that what happens once in a thousand runs happens soon.
//!
//! Often and short, since two processes must meet within a few instructions; seldom and long, since
//! one of them may have to be overtaken by far.

use std::env;
use std::ffi::OsString;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use crate::memory::SharedMemory;
use crate::words::complain;

/// How many points there are where it delays, numbered from 0.
pub(crate) const POINTS: usize = 12;

const SHORT: Duration = Duration::from_micros(100);
const MIDDLE: Duration = Duration::from_millis(1);
const LONG: Duration = Duration::from_millis(50);
/// No sleep begins if those of all processes together would be a larger part of the run so far.
const PART: u32 = 5;

/// This process is at a point; says whether anybody asked for that.
pub(crate) fn at(point: usize) -> bool {
    let chaos = CHAOS.get_or_init(|| asked_for(env::var_os("MP_CHAOS")));
    if let Some(chaos) = chaos
        && point < POINTS
    {
        chaos.at(point);
    }
    chaos.is_some()
}

/// This process was forked just now. How often its parent was at a point, the one before a spawn,
/// is its number.
pub(crate) fn born(name: &str, before_spawn: usize) {
    if let Some(Some(chaos)) = CHAOS.get() {
        chaos.born(name, before_spawn);
    }
}

/// A child has a copy.
static CHAOS: OnceLock<Option<Chaos>> = OnceLock::new();

fn asked_for(text: Option<OsString>) -> Option<Chaos> {
    let text = text?;
    let seed = text.to_str().and_then(|text| text.parse().ok());
    if seed.is_none() {
        complain(&format!(
            "MP_CHAOS is {text:?}, which is no seed: set it to a whole number, as in MP_CHAOS=1; \
             nothing is delayed now"
        ));
    }
    // Without one page of memory, the program has other worries.
    Some(Chaos::new(seed?, SharedMemory::new(0).ok()?))
}

struct Chaos {
    /// Of the seed and of this process's place in its family, which are the same in every run.
    key: AtomicU64,
    /// How often this process was at each point.
    visits: [AtomicU64; POINTS],
    start: Instant,
    /// How long the processes of the family have slept here, in nanoseconds.
    slept: SharedMemory<AtomicU64, ()>,
}

impl Chaos {
    fn new(seed: u64, slept: SharedMemory<AtomicU64, ()>) -> Self {
        Chaos {
            key: seed.into(),
            visits: [const { AtomicU64::new(0) }; POINTS],
            start: Instant::now(),
            slept,
        }
    }

    fn born(&self, name: &str, before_spawn: usize) {
        let number = self.visits[before_spawn].load(Relaxed);
        let key = hash((self.key.load(Relaxed), number, name));
        self.key.store(key, Relaxed);
        self.visits.iter().for_each(|it| it.store(0, Relaxed));
    }

    fn at(&self, point: usize) {
        let visit = self.visits[point].fetch_add(1, Relaxed);
        if let Some(time) = draw(self.key.load(Relaxed), point, visit) {
            self.pass(time);
        }
    }

    /// Sleeps so long, or as long as may be slept by now; yields where that is too short.
    fn pass(&self, drawn: Duration) {
        let (slept, begin) = (self.slept(), self.start.elapsed());
        let nap = drawn.min(room(begin, Duration::from_nanos(slept.load(Relaxed))));
        if nap < SHORT {
            return thread::yield_now();
        }
        // Before the sleep, since others look meanwhile; and how long it was in truth, after it.
        slept.fetch_add(nap.as_nanos() as u64, Relaxed);
        thread::sleep(nap);
        let more = self.start.elapsed().saturating_sub(begin + nap);
        slept.fetch_add(more.as_nanos() as u64, Relaxed);
    }

    fn slept(&self) -> &AtomicU64 {
        // SAFETY: an atomic that starts as zero, mapped as long as `self`.
        unsafe { self.slept.head().as_ref() }
    }
}

/// How long may be slept, after so much of the run and so much sleep.
fn room(run: Duration, slept: Duration) -> Duration {
    (run / PART).saturating_sub(slept)
}

/// How long to sleep; no time at all is a yield. With these lengths and shares, a lost update that 4
/// of 50 runs show is shown by all but 7 of 4750.
fn draw(key: u64, point: usize, visit: u64) -> Option<Duration> {
    match hash((key, point, visit)) % 1000 {
        0..300 => Some(Duration::ZERO),
        300..450 => Some(SHORT),
        450..480 => Some(MIDDLE),
        480 => Some(LONG),
        _ => None,
    }
}

fn hash(of: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new(); // without a key of its own: the same in every process
    of.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BEFORE_SPAWN: usize = 7;

    fn chaos(seed: u64) -> Chaos {
        Chaos::new(seed, SharedMemory::new(0).unwrap())
    }

    /// What a process draws at a point, whose ancestors were the `nth` children with these names.
    fn draws(seed: u64, family: &[(u64, &str)], point: usize) -> Vec<Option<Duration>> {
        let chaos = chaos(seed);
        for &(nth, name) in family {
            chaos.visits[BEFORE_SPAWN].store(nth, Relaxed);
            chaos.born(name, BEFORE_SPAWN);
            assert_eq!(chaos.visits[BEFORE_SPAWN].load(Relaxed), 0);
        }
        let key = chaos.key.load(Relaxed);
        (0..100).map(|visit| draw(key, point, visit)).collect()
    }

    #[test]
    fn a_seed_a_place_in_the_family_and_a_point_have_their_own_draws() {
        let all = [
            (1, &[][..], 0),
            (2, &[], 0),
            (1, &[], 1),
            (1, &[(1, "a")], 0),
            (1, &[(2, "a")], 0),
            (1, &[(1, "b")], 0),
            (1, &[(1, "a"), (1, "a")], 0),
        ];
        let draws = all.map(|(seed, family, point)| {
            let first = draws(seed, family, point);
            assert_eq!(first, draws(seed, family, point), "the same each time");
            first
        });
        for (at, one) in draws.iter().enumerate() {
            assert!(!draws[..at].contains(one), "{:?}", all[at]);
        }
    }

    #[test]
    fn short_is_often_and_long_is_seldom() {
        let draws = (0..100_000).map(|visit| draw(1, 0, visit));
        let (mut counts, mut longest) = ([0; 4], Duration::ZERO);
        for time in draws.flatten() {
            longest = longest.max(time);
            counts[[SHORT, MIDDLE, LONG]
                .iter()
                .filter(|it| **it <= time)
                .count()] += 1;
        }
        assert!(
            counts.is_sorted_by(|often, seldom| often > seldom),
            "{counts:?}"
        );
        assert!(
            counts[3] > 0 && longest == Duration::from_millis(50),
            "{counts:?}"
        );
    }

    proptest! {
        #[test]
        fn a_sleep_leaves_four_fifths_of_the_run(run in 0..u64::MAX / 9, slept in any::<u32>()) {
            let (run, slept) = (Duration::from_nanos(run), Duration::from_nanos(slept.into()));
            let nap = room(run, slept);
            prop_assert!(nap.is_zero() || 5 * (slept + nap) <= run, "{nap:?}");
        }
    }

    #[test]
    fn a_sleep_counts_for_what_it_was() {
        let mut chaos = chaos(1);
        chaos.start -= Duration::from_millis(100);
        let slept = |chaos: &Chaos| Duration::from_nanos(chaos.slept().load(Relaxed));
        chaos.pass(Duration::ZERO);
        assert!(slept(&chaos).is_zero(), "a yield is no sleep");
        let before = Instant::now();
        chaos.pass(MIDDLE);
        // A system wakes nobody early, and nobody in no time.
        assert!(slept(&chaos) > MIDDLE && slept(&chaos) <= before.elapsed());
        chaos.pass(LONG);
        assert!(
            slept(&chaos) >= Duration::from_millis(20),
            "what was left of a fifth"
        );
    }

    #[test]
    fn who_may_sleep_no_more_yields() {
        let chaos = chaos(1);
        let slept = || Duration::from_nanos(chaos.slept().load(Relaxed));
        while slept() < 5 * MIDDLE {
            let before = slept();
            chaos.pass(MIDDLE);
            let run = chaos.start.elapsed();
            assert!(
                slept() == before || 5 * (before + SHORT) <= run,
                "{before:?} of {run:?}"
            );
        }
    }

    #[test]
    fn nobody_asks_with_nothing_nor_with_what_is_no_number() {
        let asked = |text: &str| asked_for(Some(text.into())).is_some();
        assert!(asked_for(None).is_none() && asked("0") && asked(&u64::MAX.to_string()));
        for text in ["", "one", "-1", "1.5", "18446744073709551616"] {
            assert!(!asked(text), "{text:?}");
        }
    }
}
