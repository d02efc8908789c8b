//! Random numbers that a seed repeats.

use std::sync::OnceLock;
use std::thread::sleep;
use std::time::{Duration, SystemTime};

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

/// A generator (splitmix64); each `stream` of a seed is another sequence.
pub struct Chance(u64);

impl Chance {
    pub fn new(stream: u64) -> Self {
        Chance(seed() ^ stream.wrapping_mul(0xD134_2543_DE82_EF95))
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % end
    }

    /// Lets some time pass, at most `limit` microseconds: not to wait for anything, but for the
    /// fault to come at another moment each time.
    pub fn pause(&mut self, limit: u64) {
        sleep(Duration::from_micros(self.below(limit)));
    }
}
