//! Owners and waiters of locks are killed.

use std::time::Duration;

use common::{Array, Lock, LockError, Process, Queue, Value};

use crate::chance::Chance;
use crate::harness::{child, eventually, finish, kill, sleep_for_ever, until_asleep};

trials![
    an_owner_is_killed,
    an_owner_of_data_is_killed,
    owners_and_waiters_are_killed,
    a_waiter_is_killed_when_its_turn_comes,
];

fn an_owner_is_killed() {
    let lock = Lock::new().unwrap();
    let held = Value::new(0_u32).unwrap();
    for round in 1..=200 {
        let owner = child("owner", || {
            let _guard = lock.lock().unwrap();
            *held.lock().unwrap() = round;
            sleep_for_ever();
        });
        let waiter = child("waiter", || match lock.lock() {
            // It may have been first.
            Ok(_) | Err(LockError::OwnerDied) => (),
            Err(error) => panic!("{error}"),
        });
        eventually("the owner has it", || *held.lock().unwrap() == round);
        kill(owner);
        finish(waiter);
        assert!(matches!(lock.lock(), Err(LockError::OwnerDied)));
        drop(lock.recover().unwrap());
        drop(lock.lock().unwrap());
    }
}

fn an_owner_of_data_is_killed() {
    let (value, array) = (
        Value::new(0_u32).unwrap(),
        Array::new(&[0_u32; 100]).unwrap(),
    );
    let holds = Value::new(0_u32).unwrap();
    for round in 1..=200 {
        let owner = child("owner", || -> () {
            let (mut value, mut array) = (value.lock().unwrap(), array.lock().unwrap());
            *holds.lock().unwrap() = round;
            loop {
                *value += 1;
                array.iter_mut().for_each(|item| *item += 1);
            }
        });
        eventually("the owner has them", || *holds.lock().unwrap() == round);
        kill(owner);
        assert!(matches!(value.lock(), Err(LockError::OwnerDied)));
        assert!(matches!(array.lock(), Err(LockError::OwnerDied)));
        *value.recover().unwrap() = 0;
        array.recover().unwrap().fill(0);
        assert_eq!((*value.lock().unwrap(), array.lock().unwrap()[99]), (0, 0));
    }
}

/// Every process counts under the lock and, still under it, in a place of its own.
fn owners_and_waiters_are_killed() {
    let mut chance = Chance::new(1);
    let counts = Array::new(&[0_u64; 5]).unwrap(); // the sum, and each process's own
    let count = |process: usize| loop {
        let mut counts = match counts.lock() {
            Err(LockError::OwnerDied) => {
                let mut counts = counts.recover().unwrap();
                counts[0] = counts[1..].iter().sum(); // set right what may be half changed
                counts
            }
            counts => counts.unwrap(),
        };
        counts[0] += 1;
        counts[process] += 1;
        assert_eq!(counts[0], counts[1..].iter().sum());
    };
    let start = |process| child("counter", move || -> () { count(process) });
    let mut processes: Vec<Process> = (1..=4).map(start).collect();
    for _ in 0..200 {
        chance.pause(2_000);
        let process = chance.below(4) as usize;
        assert!(
            processes[process].is_alive().unwrap(),
            "it found the sums unequal"
        );
        kill(std::mem::replace(
            &mut processes[process],
            start(process + 1),
        ));
    }
    processes.into_iter().for_each(kill);
    let counts = counts.lock().or_else(|_| counts.recover()).unwrap();
    // The last may have been killed between its two additions.
    assert!(
        counts[0].abs_diff(counts[1..].iter().sum()) <= 1,
        "{counts:?}"
    );
    assert!(counts[1..].iter().all(|&count| count > 0), "{counts:?}");
}

/// A wake-up is delivered to the first waiter, which is killed before it can act on it, while the
/// lock has been taken anew without a thought of the second waiter.
fn a_waiter_is_killed_when_its_turn_comes() {
    for _ in 0..100 {
        let lock = Lock::new().unwrap();
        let go = [Queue::<()>::new().unwrap(), Queue::new().unwrap()];
        let arrived = Value::new(0_usize).unwrap();
        let wait = |turn: usize| {
            go[turn].get().unwrap();
            *arrived.lock().unwrap() += 1;
            drop(lock.recover().unwrap()); // the first may have been killed with it
        };
        let (first, mut second) = (child("first", || wait(0)), child("second", || wait(1)));
        let guard = lock.lock().unwrap();
        for (count, waiter) in [(1, &first), (2, &second)] {
            go[count - 1].put(&()).unwrap();
            eventually("it has begun to wait", || *arrived.lock().unwrap() == count);
            until_asleep(waiter.pid());
        }
        drop(guard);
        let again = lock.try_lock();
        kill(first);
        drop(again);
        let status = second.join_timeout(Duration::from_secs(5)).unwrap();
        assert!(status.expect("it waits for a lock that is free").success());
    }
}
