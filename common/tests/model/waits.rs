//! Producers and consumers that wait for each other and for the end.

use loom::thread;

use super::{FAULTS, THREE_THREADS, TWO_THREADS, WHOLE_RING, check, get, normal, put, ring, spawn};
use crate::ring::RingError;
use crate::stage::Stage;

/// The consumer sleeps before the first record, between the two, or not at all.
pub fn producer_and_consumer() {
    let ring = ring();
    let producer = spawn(&ring, |ring| {
        put(ring, 1, 5).unwrap();
        put(ring, 2, 3).unwrap();
    });
    assert_eq!(get(&ring), Some(1));
    assert_eq!(get(&ring), Some(2));
    producer.join().unwrap();
}

/// One record wakes one consumer; the end wakes all.
pub fn two_consumers_and_close() {
    let ring = ring();
    let consumers = [0; 2].map(|_| spawn(&ring, |ring| get(ring).map(|it| (it, get(ring)))));
    put(&ring, 1, 4).unwrap();
    ring.close();
    let got = consumers.map(|consumer| consumer.join().unwrap());
    assert!(
        got == [Some((1, None)), None] || got == [None, Some((1, None))],
        "{got:?}"
    );
}

/// Two records wake two consumers.
pub fn two_consumers_two_records() {
    let ring = ring();
    let consumers = [0; 2].map(|_| spawn(&ring, get));
    put(&ring, 1, 4).unwrap();
    put(&ring, 2, 4).unwrap();
    let mut got = consumers.map(|consumer| consumer.join().unwrap());
    got.sort();
    assert_eq!(got, [Some(1), Some(2)]);
}

/// Producers exclude each other.
pub fn two_producers() {
    let ring = ring();
    let producers = [1, 2].map(|number| spawn(&ring, move |ring| put(ring, number, 4).unwrap()));
    let mut got = [get(&ring), get(&ring)];
    got.sort();
    assert_eq!(got, [Some(1), Some(2)]);
    for producer in producers {
        producer.join().unwrap();
    }
}

/// The producer waits until the whole ring is free.
pub fn full_ring() {
    let ring = ring();
    put(&ring, 1, WHOLE_RING).unwrap();
    let producer = spawn(&ring, |ring| put(ring, 2, WHOLE_RING).unwrap());
    assert_eq!(get(&ring), Some(1));
    assert_eq!(get(&ring), Some(2));
    producer.join().unwrap();
}

/// One record taken makes room for both.
pub fn two_producers_at_a_full_ring() {
    let ring = ring();
    put(&ring, 0, WHOLE_RING).unwrap();
    let producers = [1, 2].map(|number| spawn(&ring, move |ring| put(ring, number, 4).unwrap()));
    assert_eq!(get(&ring), Some(0));
    for producer in producers {
        producer.join().unwrap();
    }
    let mut got = [get(&ring), get(&ring)];
    got.sort();
    assert_eq!(got, [Some(1), Some(2)]);
}

/// The end reaches a producer at a full ring and a consumer at an empty one. What was put before
/// it is still there.
pub fn close_while_both_sides_wait() {
    let (full, empty) = (ring(), ring());
    put(&full, 1, WHOLE_RING).unwrap();
    let producer = spawn(&full, |full| put(full, 2, WHOLE_RING));
    let consumer = spawn(&empty, get);
    full.close();
    empty.close();
    assert!(matches!(producer.join().unwrap(), Err(RingError::Closed)));
    assert_eq!(consumer.join().unwrap(), None);
    assert_eq!((get(&full), get(&full)), (Some(1), None));
}

/// A consumer that never sleeps, so that nothing but the positions tells it what it may read.
pub fn consumer_that_looks() {
    let ring = ring();
    let producer = spawn(&ring, |ring| put(ring, 1, 5).unwrap());
    while ring.is_empty() {
        thread::yield_now();
    }
    assert_eq!(get(&ring), Some(1));
    producer.join().unwrap();
}

/// The end at any moment of a put and a get.
pub fn close_amid() {
    let ring = ring();
    put(&ring, 1, WHOLE_RING).unwrap();
    let producer = spawn(&ring, |ring| put(ring, 2, WHOLE_RING).is_ok());
    let consumer = spawn(&ring, get);
    ring.close();
    let put = producer.join().unwrap();
    assert_eq!(consumer.join().unwrap(), Some(1));
    assert_eq!(get(&ring), put.then_some(2));
}

/// Who has seen the end has seen every record that was put.
pub fn close_while_putting() {
    let ring = ring();
    let producer = spawn(&ring, |ring| put(ring, 1, 4).is_ok());
    let consumer = spawn(&ring, |ring| get(ring).map(|it| (it, get(ring))));
    ring.close();
    let put = producer.join().unwrap();
    assert_eq!(consumer.join().unwrap(), put.then_some((1, None)));
}

#[test]
fn a_wait_for_a_record() {
    normal(TWO_THREADS, producer_and_consumer);
    normal(TWO_THREADS, consumer_that_looks);
}

#[test]
fn a_wait_of_two_consumers() {
    normal(THREE_THREADS, two_consumers_and_close);
    normal(THREE_THREADS, two_consumers_two_records);
}

#[test]
fn a_wait_of_producers() {
    normal(TWO_THREADS, full_ring);
    normal(THREE_THREADS, two_producers);
    normal(THREE_THREADS, two_producers_at_a_full_ring);
}

#[test]
fn an_end_while_others_wait() {
    normal(THREE_THREADS, close_while_both_sides_wait);
    normal(THREE_THREADS, close_amid);
    normal(THREE_THREADS, close_while_putting);
}

/// A signal, or the limit of a sleep, at any moment: no wake-up is lost with it.
#[test]
fn a_sleep_that_ends_early() {
    let early = Stage {
        early: 2,
        ..Stage::default()
    };
    check(FAULTS, early, producer_and_consumer);
    check(FAULTS, early, two_consumers_two_records);
    check(FAULTS, early, two_producers_at_a_full_ring);
}
