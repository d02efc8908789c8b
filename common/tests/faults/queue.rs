//! Producers and consumers of a queue are killed; a join comes before the queue is drained.

use std::collections::BTreeSet;
use std::time::Duration;

use common::{Array, GetError, Process, Queue};

use crate::chance::Chance;
use crate::harness::{child, eventually, finish, kill};

trials![
    a_producer_of_large_items_is_killed,
    producers_and_consumers_are_killed,
    a_join_before_the_queue_is_drained,
];

/// An item that shows any damage: all its bytes follow from its number and its length.
fn large_item(producer: u32, number: u32) -> (u32, u32, Vec<u8>) {
    let length = (1 << 20) + (number as usize * 77) % 999;
    let bytes = (0..length)
        .map(|at| (at as u32 ^ producer ^ number) as u8)
        .collect();
    (producer, number, bytes)
}

fn a_producer_of_large_items_is_killed() {
    let mut chance = Chance::new(2);
    // Some 50 ms each.
    for _ in 0..40 {
        let queue = Queue::with_capacity(3 << 20).unwrap();
        let mut producers: Vec<Process> = (0..4_u32)
            .map(|producer| {
                let queue = &queue;
                child("producer", move || {
                    (0..6).try_for_each(|number| queue.put(&large_item(producer, number)))
                })
            })
            .collect();
        let victim = chance.below(4) as u32;
        let after = chance.below(12);
        let mut seen = BTreeSet::new();
        let mut take = |limit| -> bool {
            match queue.get_timeout(limit) {
                Ok((producer, number, bytes)) => {
                    assert!(
                        (producer, number, bytes) == large_item(producer, number),
                        "torn"
                    );
                    assert!(seen.insert((producer, number)), "doubled");
                    true
                }
                Err(GetError::Empty | GetError::Closed) => false,
                Err(error) => panic!("{error}"),
            }
        };
        for _ in 0..after {
            take(Duration::from_secs(5));
        }
        chance.pause(1_000);
        kill(producers.swap_remove(victim as usize));
        while producers
            .iter_mut()
            .any(|producer| producer.is_alive().unwrap())
        {
            take(Duration::from_millis(10));
        }
        producers.into_iter().for_each(finish);
        queue.close();
        while take(Duration::ZERO) {}
        let of = |producer| seen.range((producer, 0)..(producer, 6)).count();
        assert!((0..4).all(|producer| producer == victim || of(producer) == 6));
        assert!(
            seen.range((victim, 0)..(victim, 6))
                .map(|item| item.1)
                .eq(0..of(victim) as u32)
        );
    }
}

/// Each process notes in shared memory what it is about to do and has done, so that after a kill
/// it is known which item it may have had in hand.
fn producers_and_consumers_are_killed() {
    const PROCESSES: usize = 3;
    let mut chance = Chance::new(3);
    let queue = Queue::<u64>::with_capacity(2_000).unwrap();
    // Of each producer the last number that it has put; taken[n]: how often n was taken.
    let put = Array::new(&[0_u64; PROCESSES]).unwrap();
    let taken = Queue::<u64>::with_capacity(64 << 20).unwrap();

    let producer = |index: usize| {
        let (queue, put) = (&queue, &put);
        child("producer", move || -> () {
            loop {
                let next = put.lock().or_else(|_| put.recover()).unwrap()[index] + 1;
                // A kill between these two puts the number a second time: told apart by the lap.
                queue
                    .put(&(next * PROCESSES as u64 + index as u64))
                    .unwrap();
                put.lock().or_else(|_| put.recover()).unwrap()[index] = next;
            }
        })
    };
    let consumer = || {
        child("consumer", || -> () {
            loop {
                taken.put(&queue.get().unwrap()).unwrap();
            }
        })
    };
    let mut kills = [0, 0];
    let mut producers: Vec<Process> = (0..PROCESSES).map(producer).collect();
    let mut consumers: Vec<Process> = (0..PROCESSES).map(|_| consumer()).collect();
    for _ in 0..200 {
        chance.pause(3_000);
        let index = chance.below(PROCESSES as u64) as usize;
        if chance.below(2) == 0 {
            producers[index].kill().unwrap();
            producers[index].join().unwrap();
            producers[index] = producer(index);
            kills[0] += 1;
        } else {
            consumers[index].kill().unwrap();
            consumers[index].join().unwrap();
            consumers[index] = consumer();
            kills[1] += 1;
        }
    }
    producers.into_iter().for_each(kill);
    eventually("the rest is taken", || queue.is_empty());
    consumers.into_iter().for_each(kill);
    kills = [kills[0] + PROCESSES, kills[1] + PROCESSES];

    taken.close();
    let mut times = [const { Vec::new() }; PROCESSES];
    for item in taken.iter() {
        let item = item.unwrap();
        let (number, times) = (
            item as usize / PROCESSES,
            &mut times[item as usize % PROCESSES],
        );
        times.resize(times.len().max(number + 1), 0_u32);
        times[number] += 1;
    }
    let (mut lost, mut repeated) = (0, 0);
    for (times, last) in times
        .iter()
        .zip(put.lock().or_else(|_| put.recover()).unwrap().iter())
    {
        lost += (1..=*last as usize)
            .filter(|&number| times.get(number).is_none_or(|&t| t == 0))
            .count();
        repeated += times
            .iter()
            .map(|&times| times.saturating_sub(1) as usize)
            .sum::<usize>();
    }
    assert!(
        lost <= kills[1],
        "{lost} items lost in {} kills of consumers",
        kills[1]
    );
    assert!(
        repeated <= kills[0],
        "{repeated} put again after {} kills of producers",
        kills[0]
    );
    assert!(
        times.iter().all(|times| times.len() > 200),
        "little was done"
    );
}

fn a_join_before_the_queue_is_drained() {
    for _ in 0..200 {
        let queue = Queue::with_capacity(1_000).unwrap();
        let mut producer = child("producer", || {
            (0..500_u32).try_for_each(|item| queue.put(&item))
        });
        let still_running = producer.join_timeout(Duration::from_millis(1)).unwrap();
        assert_eq!(still_running, None, "the queue has no room for 500");
        for item in 0..500 {
            assert_eq!(queue.get().unwrap(), item);
        }
        finish(producer);
    }
}
