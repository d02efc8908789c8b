//! What a run of the model is told beforehand, and what it notes. Loom runs all threads of a
//! model on one thread of the system, so a thread-local belongs to one run of one test.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use loom::sync::Notify;
use loom::thread::{self, Thread, ThreadId};

/// A fault in the algorithm, or in what it stands on, which the model must find.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mutation {
    /// A sleeper does not count itself.
    UncountedSleeper,
    /// A sleeper that was woken subtracts itself, although its waker has done so.
    SubtractedTwice,
    /// Acquire and release instead of sequential consistency: a mover's look for sleepers may
    /// come before its move.
    WeakOrder,
    /// The store that publishes a record publishes only itself.
    RelaxedMove,
    /// A record's bytes are written after the store that publishes it.
    LateBytes,
    /// The futex sleeps without a look at the word.
    NoCompare,
    /// One sleeper is woken where all should be.
    WakesOne,
    /// The locks exclude nobody.
    NoExclusion,
    /// A dead owner keeps its lock.
    NotRobust,
    /// No limit to a sleep.
    NoCap,
}

/// Set before each run.
#[derive(Clone, Copy, Default)]
pub struct Stage {
    pub mutation: Option<Mutation>,
    /// How many sleeps may end early, as by a signal or by the limit of a sleep. Loom tries both.
    pub early: u32,
    /// The victim is killed before its step of this number.
    pub kill_at: Option<u32>,
}

#[derive(Default)]
struct Run {
    stage: Stage,
    victim: Option<ThreadId>,
    dead: bool,
    moved: bool,
    sleepers: Vec<Arc<Sleeper>>,
    held: Vec<Arc<super::mutex::Owned>>,
    late: Vec<super::memory::Late>,
}

thread_local! {
    static RUN: RefCell<Run> = RefCell::default();
}

fn with<R>(work: impl FnOnce(&mut Run) -> R) -> R {
    RUN.with_borrow_mut(work)
}

impl Stage {
    pub fn set(self) {
        RUN.replace(Run {
            stage: self,
            ..Run::default()
        });
    }
}

pub fn mutated(mutation: Mutation) -> bool {
    with(|run| run.stage.mutation == Some(mutation))
}

/// What a killed thread unwinds with.
struct Killed;

/// Runs `life`, which ends at the step that the stage says: `None`, if it was killed there. The
/// kernel then gives its locks to the next owner, and time passes.
pub fn mortal<R>(life: impl FnOnce() -> R) -> Option<R> {
    let id = thread::current().id();
    with(|run| run.victim = Some(id));
    match catch_unwind(AssertUnwindSafe(life)) {
        Ok(result) => {
            with(|run| run.victim = None);
            Some(result)
        }
        Err(payload) if payload.is::<Killed>() => {
            let (held, sleepers) = with(|run| {
                (run.victim, run.dead) = (None, true);
                (
                    std::mem::take(&mut run.held),
                    std::mem::take(&mut run.sleepers),
                )
            });
            held.iter().for_each(|lock| lock.owner_died());
            if !mutated(Mutation::NoCap) {
                sleepers.iter().for_each(|sleeper| sleeper.limit_reached());
            }
            None
        }
        Err(payload) => resume_unwind(payload),
    }
}

/// Called before each operation that another process could see.
pub fn step() {
    let killed = with(|run| {
        let (Some(victim), Some(left)) = (run.victim, &mut run.stage.kill_at) else {
            return false;
        };
        if thread::current().id() != victim {
            return false;
        }
        let killed = *left == 0;
        *left = left.saturating_sub(1);
        killed
    });
    if killed {
        resume_unwind(Box::new(Killed));
    }
}

/// Notes that this thread has moved a cursor.
pub fn note_move() {
    with(|run| {
        if run.victim.is_some() && run.victim == Some(thread::current().id()) {
            run.moved = true;
        }
    });
}

/// Whether the victim has moved a cursor: its record is in the ring, or is out of it.
pub fn victim_moved() -> bool {
    with(|run| run.moved)
}

pub fn hold(lock: &Arc<super::mutex::Owned>) {
    with(|run| {
        if run.victim.is_some() && run.victim == Some(thread::current().id()) {
            run.held.push(Arc::clone(lock));
        }
    });
}

pub fn let_go(lock: &Arc<super::mutex::Owned>) {
    with(|run| run.held.retain(|held| !Arc::ptr_eq(held, lock)));
}

pub fn delay(late: super::memory::Late) {
    with(|run| run.late.push(late));
}

pub fn delayed() -> Vec<super::memory::Late> {
    with(|run| std::mem::take(&mut run.late))
}

/// Why a sleep ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Woken,
    LimitReached,
}

/// A thread in the kernel, asleep.
pub struct Sleeper {
    bed: Bed,
    woken: AtomicBool,
}

enum Bed {
    /// Sleeps until it is woken.
    Sound(Thread),
    /// May wake up by itself.
    Light(Notify),
}

impl Sleeper {
    fn wake(&self) {
        self.woken.store(true, Relaxed);
        self.rouse();
    }

    fn limit_reached(&self) {
        if !self.woken.load(Relaxed) {
            self.rouse();
        }
    }

    fn rouse(&self) {
        match &self.bed {
            Bed::Sound(thread) => thread.unpark(),
            Bed::Light(bell) => bell.notify(),
        }
    }
}

/// Those who sleep on one word, the first first. Changed right after an operation on that word,
/// which makes the two one step: loom switches threads before operations only.
#[derive(Default)]
pub struct Queue(Mutex<VecDeque<Arc<Sleeper>>>);

impl Queue {
    fn list(&self) -> std::sync::MutexGuard<'_, VecDeque<Arc<Sleeper>>> {
        self.0.lock().unwrap()
    }

    /// Sleeps until somebody calls `wake`, or earlier. Before it takes itself off the queue, it
    /// calls `touch`, which is an operation on the word.
    pub fn sleep(&self, touch: impl FnOnce()) -> Outcome {
        let early = with(|run| {
            let early = run.stage.early > 0;
            run.stage.early -= u32::from(early);
            early
        });
        let sleeper = Arc::new(Sleeper {
            bed: if early {
                Bed::Light(Notify::new())
            } else {
                Bed::Sound(thread::current())
            },
            woken: AtomicBool::new(false),
        });
        self.list().push_back(Arc::clone(&sleeper));
        if let Err(killed) = catch_unwind(step) {
            self.leave(&sleeper);
            resume_unwind(killed);
        }
        // Once a process was killed, time passes for all.
        let limited = with(|run| {
            run.sleepers.push(Arc::clone(&sleeper));
            run.dead && run.stage.mutation != Some(Mutation::NoCap)
        });
        match &sleeper.bed {
            _ if limited => thread::yield_now(),
            Bed::Sound(_) => thread::park(),
            Bed::Light(bell) => bell.wait(),
        }
        if !sleeper.woken.load(Relaxed) {
            touch();
        }
        with(|run| run.sleepers.retain(|other| !Arc::ptr_eq(other, &sleeper)));
        self.leave(&sleeper);
        if sleeper.woken.load(Relaxed) {
            Outcome::Woken
        } else {
            Outcome::LimitReached
        }
    }

    fn leave(&self, sleeper: &Arc<Sleeper>) {
        self.list().retain(|other| !Arc::ptr_eq(other, sleeper));
    }

    /// Sleeps until somebody calls `wake`; not a point where a process is killed, nor a sleep
    /// with a limit.
    pub fn sleep_soundly(&self) {
        let sleeper = Arc::new(Sleeper {
            bed: Bed::Sound(thread::current()),
            woken: AtomicBool::new(false),
        });
        self.list().push_back(Arc::clone(&sleeper));
        while !sleeper.woken.load(Relaxed) {
            thread::park();
        }
    }

    /// Wakes the first `count`, and returns how many there were.
    pub fn wake(&self, count: usize) -> u32 {
        let mut list = self.list();
        let count = count.min(list.len());
        let woken: Vec<_> = list.drain(..count).collect();
        drop(list);
        for sleeper in &woken {
            sleeper.wake();
        }
        woken.len() as u32
    }
}
