//! The proof that nobody can go on, apart from processes: the real `asleep/table.rs` over loom's
//! atomics, run in every order of its steps.
//!
//! A process is a thread here. What they wait for are numbers that are stored and read in the
//! weakest order, so that only the table's own order makes them seen. Beside each number stands
//! the truth: what is stored so far in this run, whoever has seen it. A verdict while somebody's
//! condition holds, in truth, is a false alarm.
//!
//! The last tests break a rule of the protocol each, and expect loom to find the false alarm.

#![allow(missing_docs, clippy::unwrap_used)]

mod atomic {
    //! In place of `common`'s: loom's, whose orders can be weakened.

    pub use std::sync::atomic::Ordering;
    use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

    pub static WEAK: AtomicBool = AtomicBool::new(false);

    fn order(order: Ordering) -> Ordering {
        if WEAK.load(Relaxed) { Relaxed } else { order }
    }

    macro_rules! weakened {
        ($name:ident, $number:ty) => {
            #[derive(Default)]
            pub struct $name(loom::sync::atomic::$name);

            #[allow(dead_code)]
            impl $name {
                pub fn load(&self, o: Ordering) -> $number {
                    self.0.load(order(o))
                }

                pub fn store(&self, value: $number, o: Ordering) {
                    self.0.store(value, order(o));
                }

                pub fn fetch_add(&self, by: $number, o: Ordering) -> $number {
                    self.0.fetch_add(by, order(o))
                }

                pub fn fetch_or(&self, bits: $number, o: Ordering) -> $number {
                    self.0.fetch_or(bits, order(o))
                }

                pub fn fetch_and(&self, bits: $number, o: Ordering) -> $number {
                    self.0.fetch_and(bits, order(o))
                }

                pub fn compare_exchange(
                    &self,
                    from: $number,
                    to: $number,
                    good: Ordering,
                    bad: Ordering,
                ) -> Result<$number, $number> {
                    self.0.compare_exchange(from, to, order(good), order(bad))
                }
            }
        };
    }

    weakened!(AtomicU32, u32);
    weakened!(AtomicU64, u64);
}

#[allow(dead_code)]
#[path = "../../src/asleep/table.rs"]
mod table;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU32 as Truth, Ordering::Relaxed, Ordering::SeqCst};
use std::sync::{Mutex, MutexGuard, PoisonError};

use loom::sync::Arc;
use loom::thread::{self, JoinHandle};

use atomic::{AtomicU32, AtomicU64};
use table::{Picture, Sleep, Slot, State, Table, Upon, Verdict};

/// A rule of the protocol that somebody breaks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Broken {
    Nothing,
    /// Reads the round after it has looked.
    LateRound,
    /// Confirms without a look.
    Blind,
    /// Does what it waited for, and goes on sleeping.
    Sleepwalks,
    /// Begins the round before it takes the picture.
    EarlyRound,
    /// A child's place is taken by itself, not before the fork.
    Unlisted,
    /// Takes a verdict from the picture alone.
    NoRound,
    /// Takes a sleep with a limit for one without.
    AnyLimit,
    /// Does not ask whether those that are waited for are asleep, too.
    AnyOwner,
    /// Loads and stores without an order.
    Weak,
}

const PLACES: usize = 3;
/// Nearest the root, so it looks for all.
const ROOT: usize = 0;

struct Family {
    round: AtomicU64,
    slots: Vec<Slot>,
    broken: Broken,
    /// What a process waits for: that its number is not zero. And the truth of each.
    goods: [AtomicU32; PLACES],
    truth: [Truth; PLACES],
    /// What each waits for, and that it does, in truth.
    waits: [Truth; PLACES],
    /// Who a sleeper says it depends on.
    upon: [Truth; PLACES],
    /// Who cannot go on, by a verdict.
    is_told: [AtomicBool; PLACES],
    walking: [Mutex<Option<Sleep>>; PLACES],
}

/// Whether any run came to a verdict: one that never does proves nothing.
static GIVEN: AtomicBool = AtomicBool::new(false);
const NOT_WAITING: u32 = u32::MAX;

impl Family {
    fn new(broken: Broken, living: usize) -> Arc<Self> {
        let family = Arc::new(Family {
            round: AtomicU64::default(),
            slots: (0..PLACES).map(|_| Slot::default()).collect(),
            broken,
            goods: Default::default(),
            truth: Default::default(),
            waits: std::array::from_fn(|_| Truth::new(NOT_WAITING)),
            upon: Default::default(),
            is_told: Default::default(),
            walking: Default::default(),
        });
        for slot in 0..living {
            assert_eq!(family.claim(0), Some(slot));
            family.is_born(slot);
        }
        family
    }

    fn table(&self) -> Table<'_> {
        Table {
            round: &self.round,
            slots: &self.slots,
        }
    }

    fn claim(&self, start: usize) -> Option<usize> {
        self.table().claim(start, 0).map(|(slot, _)| slot)
    }

    fn is_born(&self, slot: usize) {
        let table = self.table();
        table.set_pid(slot, pid(slot));
        table.set(slot, table.tenant(slot), State::Live);
    }

    fn upon(&self, slot: usize) -> Upon {
        match self.upon[slot].load(SeqCst) {
            0 => Upon::Anybody,
            pid => Upon::Process(pid),
        }
    }

    fn ends(&self, slot: usize) {
        let table = self.table();
        table.set(slot, table.tenant(slot), State::Ended);
    }

    fn give(&self, good: usize) {
        self.truth[good].store(1, SeqCst);
        self.goods[good].store(1, Relaxed);
    }

    fn take(&self, good: usize) -> bool {
        if self.goods[good].load(Relaxed) == 0 {
            return false;
        }
        self.truth[good].store(0, SeqCst);
        self.goods[good].store(0, Relaxed);
        true
    }

    fn fall_asleep(&self, slot: usize, is_limited: bool) -> Sleep {
        let sleep = self
            .table()
            .fall_asleep(slot, is_limited, self.upon(slot), |_| ());
        sleep.unwrap()
    }

    /// Sleeps until the good is there; false after some looks, while it sleeps on: it may have lost
    /// the processor for ever.
    fn wait(&self, slot: usize, good: usize, looks: usize) -> bool {
        let table = self.table();
        self.waits[slot].store(good as u32, SeqCst);
        let walking = self.walking[slot].lock().unwrap().take();
        let sleep = walking.unwrap_or_else(|| self.fall_asleep(slot, false));
        for _ in 0..looks {
            let before = table.round();
            if self.broken != Broken::Blind && self.take(good) {
                assert!(
                    !self.is_told[slot].load(SeqCst),
                    "a false alarm: {slot} goes on"
                );
                self.waits[slot].store(NOT_WAITING, SeqCst);
                match self.broken {
                    Broken::Sleepwalks => *self.walking[slot].lock().unwrap() = Some(sleep),
                    _ => table.wake_up(sleep),
                }
                return true;
            }
            let round = match self.broken {
                Broken::LateRound => table.round(),
                _ => before,
            };
            table.confirm(sleep, round, self.upon(slot));
            thread::yield_now(); // a nap
        }
        false
    }

    /// The root wonders whether all, or these, sleep.
    fn wonder(&self, some: Option<[usize; 2]>, looks: usize) {
        let table = self.table();
        thread::yield_now();
        let take = || match some {
            Some(slots) => table.picture(false, slots),
            None => table.all(),
        };
        let early = (self.broken == Broken::EarlyRound).then(|| table.begin_round());
        let Ok(picture) = take() else { return };
        let round = match (early, self.broken) {
            (Some(round), _) => round,
            (_, Broken::NoRound) => 0,
            _ => table.begin_round(),
        };
        self.judge(some, &picture, round, looks);
    }

    /// Looks for a verdict on a picture, of all or of these, after this round had begun.
    fn judge(&self, some: Option<[usize; 2]>, picture: &Picture, round: u64, looks: usize) {
        let table = self.table();
        for _ in 0..looks {
            let verdict = table.verdict(picture, round);
            let verdict = match self.broken {
                Broken::AnyOwner if some.is_some() => Verdict::NobodyCanGoOn,
                _ => verdict,
            };
            if verdict == Verdict::NobodyCanGoOn {
                let living = |slot: &usize| table.tenant(*slot).state() == State::Live;
                let all: Vec<usize> = (0..PLACES).filter(living).collect();
                return self.alarm(some.as_ref().map_or(&all, |some| some));
            }
            thread::yield_now();
        }
    }

    /// Sleeps for what nobody gives, and wonders.
    fn wonder_asleep(&self) {
        let table = self.table();
        let sleep = self.fall_asleep(ROOT, false);
        self.waits[ROOT].store(ROOT as u32, SeqCst);
        table.confirm(sleep, u64::MAX, Upon::Anybody);
        self.wonder(None, 2);
    }

    /// The verdict was given: nobody in the picture can go on now, nor later.
    fn alarm(&self, slots: &[usize]) {
        GIVEN.store(true, SeqCst);
        for &slot in slots {
            let good = self.waits[slot].load(SeqCst);
            assert!(
                good != NOT_WAITING && self.truth[good as usize].load(SeqCst) == 0,
                "a false alarm: {slot} can go on"
            );
            self.is_told[slot].store(true, SeqCst);
        }
    }
}

fn pid(slot: usize) -> u32 {
    slot as u32 + 100
}

fn spawn(family: &Arc<Family>, life: impl FnOnce(&Arc<Family>) + 'static) -> JoinHandle<()> {
    let family = Arc::clone(family);
    thread::spawn(move || life(&family))
}

/// One gives and sleeps; the other takes that, and gives back. The root sleeps all the time.
fn ask_and_answer(broken: Broken) {
    let family = Family::new(broken, 3);
    let asks = spawn(&family, |family| {
        family.give(2);
        if family.wait(1, 1, 2) {
            family.ends(1);
        }
    });
    let answers = spawn(&family, |family| {
        if family.wait(2, 2, 2) {
            family.give(1);
            family.wait(2, 2, 1);
        }
    });
    family.wonder_asleep();
    asks.join().unwrap();
    answers.join().unwrap();
}

/// A process forks a child and sleeps; the child gives, and sleeps.
fn fork(broken: Broken) {
    let family = Family::new(broken, 2);
    let parent = spawn(&family, move |family| {
        if broken != Broken::Unlisted {
            assert_eq!(family.claim(2), Some(2));
        }
        let child = spawn(family, move |family| {
            family.give(1);
            match broken {
                Broken::Unlisted => {}
                _ => {
                    family.is_born(2);
                    family.ends(2);
                }
            }
        });
        if family.wait(1, 1, 2) {
            family.wait(1, 1, 1);
        }
        child.join().unwrap();
    });
    family.wonder_asleep();
    parent.join().unwrap();
}

/// Two wait for each other.
fn two_locks(broken: Broken) {
    let family = Family::new(broken, 3);
    family.upon[1].store(pid(2), SeqCst);
    family.upon[2].store(pid(1), SeqCst);
    let two = [1, 2].map(|slot| {
        spawn(&family, move |family| {
            family.wait(slot, slot, 2);
        })
    });
    family.wonder(Some([1, 2]), 2);
    two.into_iter().for_each(|one| one.join().unwrap());
}

/// One of the two waits for what the third has, which is awake.
fn a_lock_of_a_third(broken: Broken) {
    let family = Family::new(broken, 3);
    family.upon[1].store(pid(2), SeqCst);
    family.upon[2].store(pid(ROOT), SeqCst);
    let first = spawn(&family, |family| {
        family.wait(1, 1, 1);
    });
    let second = spawn(&family, |family| {
        if family.wait(2, 2, 2) {
            family.give(1);
        }
    });
    family.wonder(Some([1, 2]), 2);
    family.give(2);
    first.join().unwrap();
    second.join().unwrap();
}

/// One waits without a limit for what the other gives, once it comes back from a wait with one.
fn a_limit(broken: Broken) {
    let family = Family::new(broken, 3);
    let naps = spawn(&family, move |family| {
        let table = family.table();
        let sleep = family.fall_asleep(1, broken != Broken::AnyLimit);
        family.waits[1].store(1, SeqCst);
        for _ in 0..2 {
            table.confirm(sleep, table.round(), Upon::Anybody);
            thread::yield_now();
        }
        family.waits[1].store(NOT_WAITING, SeqCst);
        table.wake_up(sleep);
        family.give(2);
        family.ends(1);
    });
    let waits = spawn(&family, |family| {
        family.wait(2, 2, 2);
    });
    family.wonder_asleep();
    naps.join().unwrap();
    waits.join().unwrap();
}

/// One is given by the third, which is awake, what it waits for; it gives the other what that one
/// waits for, and then waits for the other.
fn another_sleep(broken: Broken) {
    let family = Family::new(broken, 3);
    family.upon[1].store(pid(ROOT), SeqCst);
    family.upon[2].store(pid(1), SeqCst);
    for slot in [1, 2] {
        *family.walking[slot].lock().unwrap() = Some(family.fall_asleep(slot, false));
    }
    let both = [1, 2];
    let Ok(picture) = family.table().picture(false, both) else {
        panic!("both sleep")
    };
    let round = family.table().begin_round();
    let root = spawn(&family, |family| family.give(1));
    let first = spawn(&family, |family| {
        if family.wait(1, 1, 2) {
            family.give(2);
            family.upon[1].store(pid(2), SeqCst);
            family.wait(1, 1, 1);
        }
    });
    let second = spawn(&family, |family| {
        family.wait(2, 2, 1);
    });
    family.judge(Some(both), &picture, round, 2);
    [root, first, second]
        .into_iter()
        .for_each(|one| one.join().unwrap());
}

/// One at a time: what is weakened, and whether there was a verdict, is for all.
static ONE: Mutex<()> = Mutex::new(());

/// Runs the scenario in every order of its steps; whether there was a verdict in one.
fn check(broken: Broken, scenario: fn(Broken)) -> bool {
    let mut loom = loom::model::Builder::new();
    loom.preemption_bound = loom.preemption_bound.or(Some(2));
    atomic::WEAK.store(broken == Broken::Weak, Relaxed);
    GIVEN.store(false, SeqCst);
    loom.check(move || scenario(broken));
    GIVEN.load(SeqCst)
}

fn one_at_a_time() -> MutexGuard<'static, ()> {
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn holds(scenario: fn(Broken)) -> bool {
    let _one = one_at_a_time();
    check(Broken::Nothing, scenario)
}

fn finds(broken: Broken, scenario: fn(Broken)) {
    let _one = one_at_a_time();
    let checked = catch_unwind(AssertUnwindSafe(|| check(broken, scenario)));
    let failure = checked.expect_err("loom has found nothing");
    let said = failure.downcast_ref::<String>().map_or("", String::as_str);
    assert!(said.contains("a false alarm"), "something else: {said}");
}

#[test]
fn who_sleeps_and_can_go_on_is_not_told_otherwise() {
    assert!(holds(ask_and_answer), "a verdict in some run");
}

#[test]
fn a_child_is_not_overlooked() {
    assert!(holds(fork), "a verdict in some run");
}

#[test]
fn two_that_wait_for_each_other_are_found() {
    assert!(holds(two_locks), "a verdict in some run");
}

#[test]
fn who_depends_on_somebody_awake_is_not_told_otherwise() {
    assert!(!holds(a_lock_of_a_third), "no verdict in any run");
}

#[test]
fn who_has_a_limit_is_not_taken_to_sleep() {
    assert!(!holds(a_limit), "no verdict in any run");
}

#[test]
fn what_another_sleep_says_is_not_taken_for_this_one() {
    holds(another_sleep);
}

/// In one order of its steps: there is one thread.
#[test]
fn a_sleep_leaves_nothing_behind() {
    loom::model(|| {
        let family = Family::new(Broken::Nothing, 1);
        let table = family.table();
        for is_limited in [true, false] {
            for _ in 0..=table::CELLS {
                table.wake_up(family.fall_asleep(0, is_limited));
            }
            assert_eq!(table.sleepers(0, is_limited).count(), 0, "all awake");
            family.fall_asleep(0, is_limited);
        }
        // Killed, and the next one has its place.
        family.ends(0);
        assert_eq!(family.claim(0), Some(0));
        family.is_born(0);
        for is_limited in [true, false] {
            assert_eq!(table.sleepers(0, is_limited).count(), 0, "awake as yet");
        }
    });
}

#[test]
fn found_a_limit_that_was_not_seen() {
    finds(Broken::AnyLimit, a_limit);
}

#[test]
fn found_a_round_read_too_late() {
    finds(Broken::LateRound, ask_and_answer);
}

#[test]
fn found_a_confirmation_without_a_look() {
    finds(Broken::Blind, ask_and_answer);
}

#[test]
fn found_one_that_acts_in_its_sleep() {
    finds(Broken::Sleepwalks, ask_and_answer);
}

#[test]
fn found_a_round_that_began_before_the_picture() {
    finds(Broken::EarlyRound, ask_and_answer);
}

#[test]
fn found_a_verdict_without_a_round() {
    finds(Broken::NoRound, ask_and_answer);
}

#[test]
fn found_weaker_orders() {
    finds(Broken::Weak, ask_and_answer);
}

#[test]
fn found_a_child_that_is_not_listed() {
    finds(Broken::Unlisted, fork);
}

#[test]
fn found_an_owner_that_nobody_asked_about() {
    finds(Broken::AnyOwner, a_lock_of_a_third);
}
