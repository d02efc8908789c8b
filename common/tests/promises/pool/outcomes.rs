//! One outcome for each task, whatever its code and its types do.

use std::cell::RefCell;

use common::{Pool, PoolError, TaskError};
use nix::unistd::{ForkResult, fork};
use serde::{Deserialize, Deserializer, Serialize};

use crate::harness::eventually;

trials![
    a_result_whose_decoding_uses_the_pool,
    a_task_that_forks_and_returns_twice_has_one_outcome,
    an_error_that_is_too_long_keeps_its_beginning,
    an_error_that_nobody_asks_for_is_told_by_join,
    an_error_that_somebody_has_seen_is_not_told_again,
];

thread_local! {
    static POOL: RefCell<Option<Pool<'static, u64, Asking>>> = const { RefCell::new(None) };
}

/// Asks the pool for more when it is decoded.
#[derive(Serialize)]
struct Asking(u64, Vec<u8>);

impl<'de> Deserialize<'de> for Asking {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (number, bytes) = Deserialize::deserialize(deserializer)?;
        if number < 8 {
            POOL.with_borrow(|pool| {
                let other = pool.as_ref().unwrap().apply(&(number + 100)).unwrap();
                assert_eq!(other.0, number + 100);
            });
        }
        Ok(Asking(number, bytes))
    }
}

fn a_result_whose_decoding_uses_the_pool() {
    // A chunk's results take several messages, and the later ones arrive meanwhile.
    let task = |number| anyhow::Ok(Asking(number, vec![0; 20_000]));
    POOL.set(Some(Pool::new(1, task).unwrap()));
    let results = POOL.with_borrow(|pool| pool.as_ref().unwrap().map(0..8));
    assert!(results.unwrap().iter().map(|result| result.0).eq(0..8));
    POOL.take().unwrap().join().unwrap();
}

fn a_task_that_forks_and_returns_twice_has_one_outcome() {
    let pool = Pool::new(2, |number: u64| {
        // SAFETY: a worker has one thread, so the child may run any code.
        match unsafe { fork() }? {
            ForkResult::Parent { .. } => anyhow::Ok(number),
            ForkResult::Child => Ok(number + 1_000),
        }
    });
    let pool = pool.unwrap();
    assert!(pool.map(0..200).unwrap().into_iter().eq(0..200));
    for number in 0..20 {
        assert_eq!(pool.apply(&number), Ok(number));
    }
    pool.join().unwrap();
}

fn an_error_that_is_too_long_keeps_its_beginning() {
    // Letters of two bytes: a cut between any two bytes would be within one of them.
    let pool = Pool::with_capacity(1, 5_000, |panics: bool| -> anyhow::Result<()> {
        let text = "the beginning, a".to_owned() + &"ä".repeat(10_000);
        assert!(!panics, "{text}");
        anyhow::bail!(text)
    });
    let pool = pool.unwrap();
    for panics in [false, true] {
        let text = match pool.apply(&panics) {
            Err(TaskError::Failed(text)) if !panics => text,
            Err(TaskError::Panicked { message, location }) if panics => {
                assert!(location.contains("outcomes.rs"), "{location}");
                message
            }
            outcome => panic!("{outcome:?}"),
        };
        assert!(text.starts_with("the beginning, aää"), "{text}");
        assert!(text.ends_with("ä… (20016 bytes in all)"), "{text}");
        assert!((8_000..8_192).contains(&text.len()), "{}", text.len());
    }
}

/// A pool whose tasks fail, but that of 0.
fn failing<'cb>() -> Pool<'cb, u32, u32> {
    let task = |number: u32| match number {
        0 => Ok(0),
        _ => Err(format!("number {number}")),
    };
    Pool::new(1, task).unwrap()
}

fn an_error_that_nobody_asks_for_is_told_by_join() {
    let pool = failing();
    let _ = pool.apply_async(&1);
    let _ = pool.apply_async(&0);
    let _ = pool.apply_async(&2).callback(|_| ());
    drop(pool.apply_async(&3));
    let error = pool.join().unwrap_err();
    let PoolError::Unheard { count, first } = &error else {
        panic!("{error}")
    };
    assert_eq!((*count, first), (3, &TaskError::Failed("number 1".into())));
    assert!(error.to_string().contains("error_callback()"), "{error}");
}

fn an_error_that_somebody_has_seen_is_not_told_again() {
    let seen = RefCell::new(Vec::new());
    let pool = failing();
    pool.apply_async(&1)
        .error_callback(|error| seen.borrow_mut().push(error.to_string()));
    // In either order, before the error is there and after.
    let see = |error: &TaskError| seen.borrow_mut().push(error.to_string());
    let _ = pool.apply_async(&2).error_callback(see).callback(|_| ());
    pool.apply_async(&3).callback(|_| ()).error_callback(see);
    let late = pool.apply_async(&4);
    eventually("the error is there", || late.ready());
    let _ = late.error_callback(see).callback(|_| ());
    pool.apply_async(&5).get().unwrap_err();
    pool.map([6, 7]).unwrap_err();
    let kept = pool.apply_async(&8);
    let _ = pool.apply_async(&0);
    pool.join().unwrap();
    assert_eq!(
        seen.take(),
        ["number 1", "number 2", "number 3", "number 4"]
    );
    kept.get().unwrap_err();
}
