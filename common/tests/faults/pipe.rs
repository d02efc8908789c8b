//! A pipe's peer is killed.

use std::time::Duration;

use common::{PipeError, pipe};

use crate::chance::Chance;
use crate::harness::{child, kill};

trials![a_peer_is_killed];

fn a_peer_is_killed() {
    let mut chance = Chance::new(4);
    // Each takes the 100 ms that it takes to notice.
    for round in 0..60_u64 {
        let (ours, theirs) = pipe::<Vec<u64>, Vec<u64>>().unwrap();
        let peer = child("peer", move || {
            for number in 0.. {
                let item = if round % 2 == 0 {
                    vec![number; 50]
                } else {
                    theirs.recv().unwrap()
                };
                theirs.send(&item).unwrap();
            }
        });
        let mut numbers = 0..;
        let mut next = || {
            let number = numbers.next().unwrap();
            if round % 2 == 1 {
                ours.send(&vec![number; 50])?;
            }
            let item = ours.recv_timeout(Duration::from_secs(5))?;
            assert_eq!(item, vec![number; 50], "whole and in order");
            Ok(())
        };
        for _ in 0..chance.below(30) {
            next().unwrap();
        }
        chance.pause(300);
        kill(peer);
        let end: PipeError = std::iter::from_fn(|| Some(next()))
            .find_map(Result::err)
            .unwrap();
        assert!(matches!(end, PipeError::Died { .. }), "{end}");
    }
}
