//! Random numbers that a seed repeats.

use std::sync::OnceLock;
use std::thread::sleep;
use std::time::{Duration, SystemTime};

use fastrand::Rng;

/// The seed of this run.
pub fn seed() -> u64 {
    static SEED: OnceLock<u64> = OnceLock::new();
    *SEED.get_or_init(|| match std::env::var("FAULTS_SEED") {
        Ok(seed) => seed.parse().unwrap(),
        Err(_) => SystemTime::UNIX_EPOCH
            .elapsed()
            .unwrap()
            .subsec_nanos()
            .into(),
    })
}

/// A generator; each `stream` of a seed is another sequence.
pub struct Chance(Rng);

impl Chance {
    pub fn new(stream: u64) -> Self {
        Chance(Rng::with_seed(seed() ^ (stream << 32)))
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0.u64(..end)
    }

    /// Lets some time pass, at most `limit` microseconds: not to wait for anything, but for the
    /// fault to come at another moment each time.
    pub fn pause(&mut self, limit: u64) {
        sleep(Duration::from_micros(self.below(limit)));
    }
}
