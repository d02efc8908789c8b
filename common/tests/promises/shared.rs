//! Values and arrays in shared memory, each behind its lock.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use common::{Array, LockError, Value};

use crate::harness::{child, finish, output_of};

trials![
    changes_are_seen_by_all,
    increments_under_the_guard_are_exact,
    an_index_out_of_range_panics_as_a_slice_does,
    an_array_of_none,
    the_death_of_an_owner_is_told_and_forgiven,
    waiting_ends_in_time,
];

fn changes_are_seen_by_all() {
    let (value, array) = (
        Value::new(1.5_f64).unwrap(),
        Array::new(&[1, 2, 3]).unwrap(),
    );
    finish(child("changes", || {
        *value.lock().unwrap() *= 2.0;
        array.lock().unwrap().reverse();
    }));
    assert_eq!(*value.lock().unwrap(), 3.0);
    assert_eq!(*array.lock().unwrap(), [3, 2, 1]);
    assert_eq!(
        (array.len(), format!("{:?}", array.lock().unwrap())),
        (3, "[3, 2, 1]".into())
    );
}

fn increments_under_the_guard_are_exact() {
    let (value, array) = (Value::new(0_u64).unwrap(), Array::new(&[0_u64; 3]).unwrap());
    let work = || {
        for index in 0..100_000 {
            *value.lock().unwrap() += 1;
            array.lock().unwrap()[index % 3] += 1;
        }
    };
    (0..4)
        .map(|_| child("counter", work))
        .collect::<Vec<_>>()
        .into_iter()
        .for_each(finish);
    assert_eq!(*value.lock().unwrap(), 400_000);
    assert_eq!(array.lock().unwrap().iter().sum::<u64>(), 400_000);
}

fn an_index_out_of_range_panics_as_a_slice_does() {
    let array = Array::new(&[1, 2, 3]).unwrap();
    let (_, printed, code) = output_of(|| array.lock().unwrap()[std::hint::black_box(3)] = 0);
    assert!(
        printed.contains("the len is 3 but the index is 3"),
        "{printed}"
    );
    assert_eq!(code, Some(101));
    assert_eq!(*array.lock().unwrap(), [1, 2, 3]);
}

fn an_array_of_none() {
    let array = Array::<u8>::new(&[]).unwrap();
    assert!(array.is_empty() && array.lock().unwrap().is_empty());
}

fn the_death_of_an_owner_is_told_and_forgiven() {
    let (value, array) = (Value::new(1).unwrap(), Array::new(&[1, 2]).unwrap());
    let mut owner = child("owner", || -> () {
        *value.lock().unwrap() = 2; // a whole change
        let (mut value, mut array) = (value.lock().unwrap(), array.lock().unwrap());
        (*value, array[0]) = (3, 3);
        std::process::abort();
    });
    owner.join().unwrap();
    assert!(matches!(value.lock(), Err(LockError::OwnerDied)));
    assert!(matches!(array.lock(), Err(LockError::OwnerDied)));
    assert_eq!(
        (*value.recover().unwrap(), array.recover().unwrap()[0]),
        (3, 3)
    );
    assert_eq!((*value.lock().unwrap(), array.lock().unwrap()[0]), (3, 3));
}

fn waiting_ends_in_time() {
    let (value, array) = (Value::new(1).unwrap(), Array::new(&[1]).unwrap());
    let guards = (value.lock().unwrap(), array.lock().unwrap());
    let short = Duration::from_millis(5);
    assert!(
        catch_unwind(AssertUnwindSafe(|| std::thread::scope(|scope| {
            scope.spawn(|| {
                assert!(matches!(
                    value.lock_timeout(short),
                    Err(LockError::TimedOut)
                ))
            });
            scope.spawn(|| {
                assert!(matches!(
                    array.lock_timeout(short),
                    Err(LockError::TimedOut)
                ))
            });
        })))
        .is_ok()
    );
    drop(guards);
}
