//! Workers of a pool die in every way, and bad values and panics come amid good tasks.

use std::cell::Cell;
use std::hint::black_box;
use std::os::unix::process::ExitStatusExt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use common::{Array, Pool, TaskError};
use nix::sys::signal::{Signal, kill as signal};
use nix::unistd::{Pid, getpid, getppid};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::chance::Chance;
use crate::harness::output_of;

trials![
    a_worker_kills_itself_amid_others,
    every_way_to_die,
    workers_are_killed_from_outside,
    bad_values_amid_others,
    a_callback_panics_amid_others,
];

fn a_worker_kills_itself_amid_others() {
    let mut chance = Chance::new(7);
    let pool = Pool::new(4, |(number, fatal): (u64, bool)| {
        if fatal {
            signal(getpid(), Signal::SIGKILL)?;
        }
        anyhow::Ok(number)
    })
    .unwrap();
    for _ in 0..200 {
        let victim = chance.below(20);
        let task = |number| (number, number == victim);
        let results: Vec<_> = (0..20)
            .map(|number| pool.apply_async(&task(number)))
            .collect();
        for (number, result) in results.into_iter().enumerate() {
            match result.get() {
                Ok(result) => assert!(result == number as u64 && result != victim),
                Err(TaskError::WorkerDied { status, .. }) => {
                    assert_eq!(
                        (number as u64, status.signal()),
                        (victim, Some(libc::SIGKILL))
                    );
                }
                Err(error) => panic!("{error}"),
            }
        }
    }
    assert_eq!(
        pool.map((0..40).map(|number| (number, false))).unwrap(),
        Vec::from_iter(0..40)
    );
    pool.join().unwrap();
}

#[expect(unconditional_recursion, reason = "this is the fault")]
fn overflow_the_stack(depth: u64) -> u64 {
    let frame = black_box([depth; 512]);
    overflow_the_stack(depth + 1) + black_box(frame)[7]
}

fn every_way_to_die() {
    // What the standard library says about a stack overflow is not for this output.
    let (_, printed, code) = output_of(|| {
        let pool = Pool::new(2, |way: u32| -> anyhow::Result<u64> {
            match way {
                0 => Ok(overflow_the_stack(0)),
                1 => std::process::abort(),
                2 => std::process::exit(0),
                // SAFETY: ends the process; nothing of it is used any more.
                3 => unsafe { libc::_exit(9) },
                4 => panic!("of a string"),
                5 => std::panic::panic_any(5),
                // SAFETY: none: this is the fault.
                6 => Ok(unsafe { black_box(std::ptr::null::<u64>()).read_volatile() }),
                _ => Ok(1),
            }
        })
        .unwrap();
        let end = |way| match pool.apply(&way) {
            Err(TaskError::WorkerDied { status, .. }) => (status.code(), status.signal()),
            outcome => panic!("{way}: {outcome:?}"),
        };
        let panics = |way| matches!(pool.apply(&way), Err(TaskError::Panicked { .. }));
        for _ in 0..10 {
            assert_eq!(end(0), (None, Some(libc::SIGABRT)));
            assert_eq!(end(1), (None, Some(libc::SIGABRT)));
            assert_eq!(end(2), (Some(0), None));
            assert_eq!(end(3), (Some(9), None));
            assert!(panics(4) && panics(5));
            assert_eq!(end(6), (None, Some(libc::SIGSEGV)));
            assert_eq!(pool.apply(&7), Ok(1));
        }
        pool.join().unwrap();
    });
    assert_eq!(code, Some(0), "{printed}");
}

fn workers_are_killed_from_outside() {
    let mut chance = Chance::new(8);
    let workers = Array::new(&[0_i32; 4096]).unwrap(); // pids by task, of those that run or ran
    let pool = Pool::new(4, |task: usize| {
        workers.lock().or_else(|_| workers.recover())?[task] = getpid().as_raw();
        black_box((0..20_000_u64).map(black_box).sum::<u64>());
        workers.lock().or_else(|_| workers.recover())?[task] = 0;
        anyhow::Ok(getppid().as_raw())
    })
    .unwrap();
    let supervisor = pool.apply(&0).unwrap();
    let mut died = 0;
    let mut kills = 0;
    for round in 0..200 {
        let results: Vec<_> = (0..20)
            .map(|task| pool.apply_async(&(round * 20 + task)))
            .collect();
        chance.pause(1_000);
        // A busy worker, if there is one, or any of the supervisor's children.
        let children = format!("/proc/{supervisor}/task/{supervisor}/children");
        let children = std::fs::read_to_string(children).unwrap_or_default();
        let children: Vec<i32> = children
            .split_whitespace()
            .map(|pid| pid.parse().unwrap())
            .collect();
        if !children.is_empty() {
            let victim = children[chance.below(children.len() as u64) as usize];
            kills += u32::from(signal(Pid::from_raw(victim), Signal::SIGKILL).is_ok());
        }
        for result in results {
            match result.get() {
                Ok(parent) => assert_eq!(parent, supervisor),
                Err(TaskError::WorkerDied { .. }) => died += 1,
                Err(error) => panic!("{error}"),
            }
        }
    }
    assert!(died <= kills, "{died} tasks lost in {kills} kills");
    assert_eq!(pool.map(0..100).unwrap().len(), 100, "whole again");
    pool.join().unwrap();
}

/// Fails in the worker when it is encoded, or in the parent when it is decoded.
#[derive(Debug, PartialEq)]
struct Number(u64);

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 % 10 {
            3 => Err(serde::ser::Error::custom("3")),
            _ => self.0.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u64::deserialize(deserializer)? {
            number if number % 10 == 7 => Err(serde::de::Error::custom("7")),
            number => Ok(Number(number)),
        }
    }
}

fn bad_values_amid_others() {
    let pool = Pool::new(3, |number: u64| anyhow::Ok(Number(number))).unwrap();
    for round in 0..200 {
        let start = round * 20;
        let results: Vec<_> = (start..start + 20)
            .map(|number| pool.apply_async(&number))
            .collect();
        for (number, result) in (start..).zip(results) {
            match (number % 10, result.get()) {
                (3, Err(TaskError::Encode(..))) | (7, Err(TaskError::Decode(..))) => {}
                (_, outcome) => assert_eq!(outcome, Ok(Number(number))),
            }
        }
    }
    pool.join().unwrap();
}

fn a_callback_panics_amid_others() {
    std::panic::set_hook(Box::new(|_| ()));
    let mut chance = Chance::new(9);
    for _ in 0..200 {
        let called = Cell::new(0);
        let pool = Pool::new(2, |number: u64| anyhow::Ok(number)).unwrap();
        let bad = chance.below(20);
        let results: Vec<_> = (0..20)
            .map(|number| {
                pool.apply_async(&number).callback(|&result| {
                    called.set(called.get() + 1);
                    assert_ne!(result, bad);
                })
            })
            .collect();
        let panicked = catch_unwind(AssertUnwindSafe(|| pool.join())).is_err();
        assert!(panicked && called.get() == 20);
        assert!(
            results
                .into_iter()
                .map(|result| result.get().unwrap())
                .eq(0..20)
        );
    }
    drop(std::panic::take_hook());
}
