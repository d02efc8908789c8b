//! In place of `common`'s `atomic`: loom's, with what loom lacks.

pub use std::sync::atomic::Ordering;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, SeqCst};

use crate::stage::{self, Mutation, Queue, mutated};

/// An atomic that a futex can watch.
pub struct AtomicU32 {
    value: loom::sync::atomic::AtomicU32,
    asleep: Queue,
}

impl Default for AtomicU32 {
    fn default() -> Self {
        let value = loom::sync::atomic::AtomicU32::new(0);
        // A sequentially consistent load of loom's passes over an older value only if that was
        // stored in the same way, which the first one was not.
        value.store(0, SeqCst);
        AtomicU32 {
            value,
            asleep: Queue::default(),
        }
    }
}

impl AtomicU32 {
    pub fn load(&self, order: Ordering) -> u32 {
        stage::step();
        let weak = order == SeqCst && mutated(Mutation::WeakOrder);
        self.value.load(if weak { Acquire } else { order })
    }

    pub fn store(&self, value: u32, order: Ordering) {
        stage::step();
        self.value.store(value, order);
    }

    pub fn fetch_add(&self, by: u32, order: Ordering) -> u32 {
        stage::step();
        // Positions are multiples of four: what grows by one is a count of sleepers.
        if by == 1 && mutated(Mutation::UncountedSleeper) {
            return self.value.load(Relaxed);
        }
        if by >= 4 {
            stage::note_move();
        }
        self.value.fetch_add(by, weaker(order))
    }

    pub fn fetch_sub(&self, by: u32, order: Ordering) -> u32 {
        stage::step();
        if by == 1 && mutated(Mutation::UncountedSleeper) {
            return self.value.load(Relaxed);
        }
        self.value.fetch_sub(by, weaker(order))
    }

    pub fn fetch_or(&self, bits: u32, order: Ordering) -> u32 {
        stage::step();
        self.value.fetch_or(bits, weaker(order))
    }

    pub fn compare_exchange(
        &self,
        seen: u32,
        next: u32,
        success: Ordering,
        failure: Ordering,
    ) -> Result<u32, u32> {
        stage::step();
        let success = if mutated(Mutation::RelaxedMove) {
            Relaxed
        } else {
            weaker(success)
        };
        let result = self.value.compare_exchange(seen, next, success, failure);
        if result.is_ok() {
            stage::note_move();
        }
        result
    }

    /// Looks at the value and puts the caller to sleep in one step, as the kernel does under a
    /// lock of its own.
    pub fn sleep_while(&self, expected: u32) -> stage::Outcome {
        stage::step();
        if self.value.load(SeqCst) == expected || mutated(Mutation::NoCompare) {
            self.asleep.sleep(|| self.touch())
        } else {
            stage::Outcome::LimitReached
        }
    }

    /// Takes the first `count` sleepers off the queue in one step.
    pub fn wake(&self, count: usize) -> u32 {
        stage::step();
        self.touch();
        self.asleep.wake(count)
    }

    /// Changes nothing, but tells loom that the order of changes to the queue matters.
    fn touch(&self) {
        self.value.fetch_add(0, SeqCst);
    }
}

fn weaker(order: Ordering) -> Ordering {
    match order {
        SeqCst if mutated(Mutation::WeakOrder) => AcqRel,
        order => order,
    }
}
