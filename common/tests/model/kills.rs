//! A producer or a consumer is killed, at each of its steps.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering::SeqCst};

use super::{FAULTS, WHOLE_RING, check, get, get_as, put, ring, spawn};
use crate::ring::Taker;
use crate::stage::{self, Stage, mortal, victim_moved};

/// Runs the scenario with its victim killed before its first step, its second, and so on, until
/// it has none left.
pub fn kill_at_each_step(stage: Stage, scenario: fn() -> bool) {
    for step in 0.. {
        let killed = Arc::new(AtomicBool::new(false));
        let note = Arc::clone(&killed);
        let stage = Stage {
            kill_at: Some(step),
            ..stage
        };
        check(FAULTS, stage, move || {
            note.fetch_or(scenario(), SeqCst);
        });
        if !killed.load(SeqCst) {
            assert!(step > 5, "a victim of {step} steps only");
            return;
        }
    }
}

/// The victim's record is there whole, once, or not at all, and its consumer learns of it.
pub fn producer_killed() -> bool {
    let ring = ring();
    let victim = spawn(&ring, |ring| mortal(|| put(ring, 1, 5)).is_none());
    let consumer = spawn(&ring, get);
    let killed = victim.join().unwrap();
    let published = victim_moved();
    if !published {
        put(&ring, 2, 5).unwrap();
    }
    assert_eq!(consumer.join().unwrap(), Some(2 - u8::from(published)));
    assert!(ring.is_empty());
    killed
}

/// What the victim says that it has in hand, zero for nothing.
#[derive(Clone, Default)]
struct Hand(Arc<AtomicU8>);

struct Victim(Hand);

impl Taker for Victim {
    fn claim(&self, record: &[u8]) {
        stage::step();
        self.0.0.store(record[0], SeqCst);
    }
}

impl Taker for Hand {
    fn disclaim(&self, record: &[u8]) {
        let _ = self.0.compare_exchange(record[0], 0, SeqCst, SeqCst);
    }
}

/// The victim takes a record from the ring, and then has it in hand, or leaves it to the other
/// consumer. Whoever takes one puts another, since the victim may be waiting still; 3 is what the
/// victim's heir puts.
pub fn consumer_killed() -> bool {
    let (ring, hand) = (ring(), Hand::default());
    let victim = Victim(hand.clone());
    let victim = spawn(&ring, move |ring| {
        let killed = mortal(|| get_as(&victim, ring)).is_none();
        if victim_moved() {
            put(ring, 3, 5).unwrap();
        }
        killed
    });
    let others = hand.clone();
    let survivor = spawn(&ring, move |ring| {
        let got = get_as(&others, ring);
        if got == Some(1) {
            put(ring, 2, 5).unwrap();
        }
        got
    });
    put(&ring, 1, 5).unwrap();
    let killed = victim.join().unwrap();
    let got = survivor.join().unwrap();
    ring.close();
    let left: Vec<u8> = std::iter::from_fn(|| get_as(&hand, &ring)).collect();
    let (left, in_hand): (&[u8], u8) = (&left, hand.0.load(SeqCst));
    match (got, victim_moved()) {
        (Some(1), false) => assert_eq!((left, in_hand), (&[2][..], 0)),
        (Some(1), true) => assert_eq!((left, in_hand), (&[3][..], 2)),
        (Some(3), true) => assert_eq!((left, in_hand), (&[][..], 1)),
        other => panic!("{other:?}"),
    }
    killed
}

/// A producer waits for the room that the victim makes.
pub fn consumer_killed_at_a_full_ring() -> bool {
    let ring = ring();
    put(&ring, 1, WHOLE_RING).unwrap();
    let victim = spawn(&ring, |ring| mortal(|| get(ring)).is_none());
    let producer = spawn(&ring, |ring| put(ring, 2, WHOLE_RING).unwrap());
    let killed = victim.join().unwrap();
    if !victim_moved() {
        assert_eq!(get(&ring), Some(1));
    }
    assert_eq!(get(&ring), Some(2));
    producer.join().unwrap();
    killed
}

#[test]
fn a_producer_is_killed() {
    kill_at_each_step(Stage::default(), producer_killed);
}

#[test]
fn a_consumer_is_killed() {
    kill_at_each_step(Stage::default(), consumer_killed);
    kill_at_each_step(Stage::default(), consumer_killed_at_a_full_ring);
}
