//! What travels through the queue: bytes of any length, with a checksum.

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

use crate::random::{Random, mix};

#[derive(Serialize, Deserialize)]
pub struct Item {
    /// Who put it and its number there: different for each item of a round, and not zero.
    pub id: u64,
    words: Vec<u64>,
    check: u64,
}

impl Item {
    /// From 8 bytes to 64 kibibytes, small ones as often as large ones.
    pub fn new(producer: usize, number: u64, random: &mut Random) -> Self {
        let words: Vec<u64> = (0..1 << random.below(14)).map(|_| random.next()).collect();
        let id = (producer as u64) << 32 | number;
        let check = checksum(id, &words);
        Item { id, words, check }
    }

    pub fn verify(&self) -> Result<()> {
        let (producer, number) = split(self.id);
        ensure!(
            checksum(self.id, &self.words) == self.check,
            "item {number} of process {producer} is torn"
        );
        Ok(())
    }
}

/// Who put an item with this id, and its number there.
pub fn split(id: u64) -> (usize, u64) {
    ((id >> 32) as usize, id & 0xFFFF_FFFF)
}

fn checksum(id: u64, words: &[u64]) -> u64 {
    words
        .iter()
        .fold(id + words.len() as u64, |sum, word| mix(sum ^ word))
}
