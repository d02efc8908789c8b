//! A killed process leaves nothing that would keep the others from being told that nobody can go on.

use common::{GetError, Queue};

use crate::chance::Chance;
use crate::harness::{child, finish};

trials![spawners_are_killed];

fn spawners_are_killed() {
    let chance = &mut Chance::new(9);
    let never = Queue::<u32>::new().unwrap();
    for round in 0..10 {
        let spawner = |_| {
            child("a spawner", || -> () {
                loop {
                    finish(child("a child", || ()));
                }
            })
        };
        let mut spawners = [1, 2, 3, 4].map(spawner);
        for spawner in &mut spawners {
            chance.pause(5_000);
            spawner.kill().unwrap(); // in the middle of a fork as often as not
        }
        for spawner in &mut spawners {
            spawner.join().unwrap();
        }
        let told = never.get();
        let is_told =
            matches!(&told, Err(GetError::Deadlock(all)) if all.to_string().contains("only"));
        assert!(is_told, "in round {round}: {told:?}");
    }
}
