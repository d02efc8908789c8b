//! Random numbers that a seed repeats.

use std::time::Duration;

use fastrand::Rng;

#[derive(Clone)]
pub struct Random(Rng);

impl Random {
    pub fn new(seed: u64) -> Self {
        Random(Rng::with_seed(seed))
    }

    pub fn next(&mut self) -> u64 {
        self.0.u64(..)
    }

    /// From 0 to `end - 1`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0.u64(..end)
    }

    /// True once in `times` calls.
    pub fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    pub fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.0.usize(..choices.len())]
    }

    pub fn micros(&mut self, end: u64) -> Duration {
        Duration::from_micros(self.below(end))
    }

    /// Another sequence, for another process.
    pub fn fork(&mut self) -> Random {
        Random(self.0.fork())
    }
}

/// Every bit of the result depends on every bit of `x`.
pub fn mix(x: u64) -> u64 {
    Rng::with_seed(x).u64(..)
}
