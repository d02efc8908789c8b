//! What a task that fails says, and that nobody else is harmed: errors, panics, values that do
//! not cross.

use std::panic::catch_unwind;

use common::{Pool, Process, TaskError, Value};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Order, Result, pool};
use crate::harness::output_of;

trials![
    an_error_names_its_causes,
    a_panic_names_its_place_and_prints_nothing,
    a_panic_names_no_place_of_an_earlier_one,
    a_process_inside_a_task_complains_as_any_other,
    an_argument_that_cannot_be_encoded,
    an_argument_that_cannot_be_decoded,
    a_result_that_cannot_be_encoded,
    a_result_that_cannot_be_decoded,
    a_result_that_panics_when_it_is_encoded_or_dropped,
    too_large_an_argument_or_result,
    a_worker_keeps_no_memory_of_a_result_that_was_too_large,
];

fn an_error_names_its_causes() {
    let error = pool().apply(&Order::Fail).unwrap_err();
    assert_eq!(
        error,
        TaskError::Failed("the task failed: the cause".into())
    );
}

fn a_panic_names_its_place_and_prints_nothing() {
    let (_, printed, code) = output_of(|| {
        let error = pool().apply(&Order::Panic).unwrap_err();
        let TaskError::Panicked { message, location } = error else {
            panic!("{error}")
        };
        assert_eq!(message, "on purpose");
        assert!(location.contains("promises/pool/mod.rs:"), "{location}");
    });
    assert_eq!((printed.as_str(), code), ("", Some(0)));
}

fn a_panic_names_no_place_of_an_earlier_one() {
    let pool = Pool::new(1, |first: bool| {
        if first {
            assert!(catch_unwind(|| panic!("caught")).is_err());
        } else {
            std::panic::resume_unwind(Box::new("without a place"));
        }
        anyhow::Ok(())
    });
    let pool = pool.unwrap();
    pool.apply(&true).unwrap();
    let Err(TaskError::Panicked { message, location }) = pool.apply(&false) else {
        panic!("no panic")
    };
    assert_eq!((&*message, &*location), ("without a place", ""));
}

fn a_process_inside_a_task_complains_as_any_other() {
    let (_, printed, _) = output_of(|| {
        let pool = Pool::new(1, |()| {
            let mut process = Process::spawn("inner", || -> () { panic!("aloud") })?;
            anyhow::Ok(process.join()?.code())
        });
        assert_eq!(pool.unwrap().apply(&()), Ok(Some(101)));
    });
    assert_eq!(printed.matches("aloud").count(), 1, "{printed}");
}

/// Fails where it is told to.
#[derive(Debug, PartialEq)]
enum Picky {
    Good,
    NotEncoded,
    NotDecoded,
}

impl Serialize for Picky {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Picky::Good => true.serialize(serializer),
            Picky::NotDecoded => false.serialize(serializer),
            Picky::NotEncoded => Err(serde::ser::Error::custom("picky")),
        }
    }
}

impl<'de> Deserialize<'de> for Picky {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match bool::deserialize(deserializer)? {
            true => Ok(Picky::Good),
            false => Err(serde::de::Error::custom("picky")),
        }
    }
}

fn an_argument_that_cannot_be_encoded() {
    let pool = Pool::new(2, |_: Picky| anyhow::Ok(1)).unwrap();
    let error = pool.apply(&Picky::NotEncoded).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("the argument cannot be encoded"),
        "{error}"
    );
    let outcomes: Vec<_> = pool
        .imap_unordered([Picky::Good, Picky::NotEncoded, Picky::Good])
        .collect();
    assert_eq!(
        outcomes.iter().filter(|outcome| **outcome == Ok(1)).count(),
        2
    );
    assert!(matches!(
        pool.map([Picky::Good, Picky::NotEncoded, Picky::Good]),
        Err(TaskError::Encode(..))
    ));
    assert_eq!(pool.map((0..9).map(|_| Picky::Good)).unwrap(), [1; 9]);
}

fn an_argument_that_cannot_be_decoded() {
    let done = Value::new(0).unwrap();
    let pool = Pool::new(1, |_: Picky| {
        *done.lock()? += 1;
        anyhow::Ok(())
    })
    .unwrap();
    // More than four chunks: the bad one has good ones beside it.
    let orders = (0..40).map(|index| {
        if index == 13 {
            Picky::NotDecoded
        } else {
            Picky::Good
        }
    });
    let error = pool.map(orders).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("the argument cannot be decoded"),
        "{error}"
    );
    assert_eq!(*done.lock().unwrap(), 39);
}

fn a_result_that_cannot_be_encoded() {
    let task = |bad: bool| anyhow::Ok(if bad { Picky::NotEncoded } else { Picky::Good });
    let pool = Pool::new(2, task).unwrap();
    let error = pool.apply(&true).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("the result cannot be encoded"),
        "{error}"
    );
    assert_eq!(pool.apply(&false), Ok(Picky::Good));
}

fn a_result_that_cannot_be_decoded() {
    let task = |bad: bool| anyhow::Ok(if bad { Picky::NotDecoded } else { Picky::Good });
    let pool = Pool::new(2, task).unwrap();
    let error = pool.apply(&true).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("the result cannot be decoded"),
        "{error}"
    );
    assert_eq!(pool.apply(&false), Ok(Picky::Good));
}

fn a_result_that_panics_when_it_is_encoded_or_dropped() {
    struct Bomb(u8);
    impl Serialize for Bomb {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            assert_ne!(self.0, 3, "at encoding");
            self.0.serialize(serializer)
        }
    }
    impl<'de> Deserialize<'de> for Bomb {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            u8::deserialize(deserializer).map(Bomb)
        }
    }
    let pool = Pool::new(1, |number: u8| anyhow::Ok(Bomb(number))).unwrap();
    let outcomes = [1, 3, 5].map(|number| pool.apply(&number));
    let Err(TaskError::Panicked { message, .. }) = &outcomes[1] else {
        panic!("no panic")
    };
    assert!(message.contains("at encoding"), "{message}");
    assert!(outcomes[0].is_ok() && outcomes[2].is_ok());
    assert!(pool.map([4; 30]).is_ok());
}

fn too_large_an_argument_or_result() {
    let pool = Pool::with_capacity(2, 10_000, |length: Vec<u8>| {
        anyhow::Ok(vec![0_u8; length.len() * 2])
    })
    .unwrap();
    let large = pool.apply(&vec![0; 20_000]).unwrap_err();
    assert!(
        large.to_string().starts_with("the argument takes 200"),
        "{large}"
    );
    let large = pool.apply(&vec![0; 9_000]).unwrap_err();
    assert!(
        large.to_string().starts_with("the result takes 180"),
        "{large}"
    );
    assert!(large.to_string().contains("Pool::with_capacity"), "{large}");
    assert_eq!(pool.apply(&vec![0; 4_000]).unwrap().len(), 8_000);
}

fn a_worker_keeps_no_memory_of_a_result_that_was_too_large() {
    const SIZE: usize = 64 << 20;
    let pool = Pool::new(1, |size: usize| {
        let statm = std::fs::read_to_string("/proc/self/statm")?;
        let pages: u64 = statm.split(' ').nth(1).unwrap_or_default().parse()?;
        anyhow::Ok((pages, vec![1_u8; size]))
    });
    let pool = pool.unwrap();
    let (before, _) = pool.apply(&0).unwrap();
    assert!(matches!(pool.apply(&SIZE), Err(TaskError::TooLarge { .. })));
    let (after, _) = pool.apply(&0).unwrap();
    // The kernel's count is not exact: it may even have sunk.
    assert!(
        after < before + SIZE as u64 / 2 / 4096,
        "{before} pages, then {after}"
    );
}
