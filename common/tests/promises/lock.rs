//! A lock: exclusion, timeouts, and what the death of its owner leaves.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use common::{Lock, LockError, Process, SpawnError, Value};

use crate::harness::{child, eventually, finish, kill, output_of, sleep_for_ever, until_asleep};

trials![
    one_process_at_a_time,
    taking_it_twice_is_an_error,
    trying_and_waiting_for_a_held_lock_end,
    unwinding_releases,
    a_dead_owner_is_reported_until_recovered,
    an_owner_that_exits_is_a_dead_owner,
    a_waiter_learns_of_the_death,
    recovering_without_a_death_is_locking,
    a_forgotten_guard_does_no_harm,
    a_thread_that_ends_with_a_guard_forgotten_aborts,
    a_lock_dropped_while_a_thread_holds_it_stays_mapped,
    too_many_locks_are_refused,
];

fn one_process_at_a_time() {
    let (lock, value) = (Lock::new().unwrap(), Value::new([0_u64; 2]).unwrap());
    let work = || {
        for _ in 0..20_000 {
            let _guard = lock.lock().unwrap();
            // The value's own lock is taken twice, so only `lock` keeps the two together.
            let before = value.lock().unwrap()[0];
            value.lock().unwrap()[0] = before + 1;
        }
    };
    (0..4)
        .map(|_| child("counter", work))
        .collect::<Vec<_>>()
        .into_iter()
        .for_each(finish);
    assert_eq!(value.lock().unwrap()[0], 80_000);
}

fn taking_it_twice_is_an_error() {
    let lock = Lock::new().unwrap();
    let guard = lock.lock().unwrap();
    assert!(matches!(lock.lock(), Err(LockError::AlreadyHeld)));
    assert!(matches!(
        lock.lock_timeout(Duration::from_secs(9)),
        Err(LockError::AlreadyHeld)
    ));
    assert!(matches!(lock.try_lock(), Err(LockError::AlreadyHeld)));
    assert!(matches!(lock.recover(), Err(LockError::AlreadyHeld)));
    drop(guard);
    drop(lock.lock().unwrap());
}

/// Runs `check` while a child holds the lock.
fn while_held(lock: &Lock, check: impl FnOnce()) {
    let held = Value::new(0_u8).unwrap();
    let holder = child("holder", || {
        let _guard = lock.lock().unwrap();
        *held.lock().unwrap() = 1;
        sleep_for_ever();
    });
    eventually("it is held", || *held.lock().unwrap() == 1);
    check();
    kill(holder);
}

fn trying_and_waiting_for_a_held_lock_end() {
    let lock = Lock::new().unwrap();
    while_held(&lock, || {
        assert!(matches!(lock.try_lock(), Err(LockError::TimedOut)));
        let (start, limit) = (Instant::now(), Duration::from_millis(30));
        assert!(matches!(lock.lock_timeout(limit), Err(LockError::TimedOut)));
        assert!(start.elapsed() >= limit);
    });
}

fn unwinding_releases() {
    let lock = Lock::new().unwrap();
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let _guard = lock.lock().unwrap();
        std::panic::resume_unwind(Box::new(()));
    }));
    assert!(panicked.is_err());
    finish(child("next", || drop(lock.try_lock().unwrap())));
}

fn a_dead_owner_is_reported_until_recovered() {
    let lock = Lock::new().unwrap();
    while_held(&lock, || ());
    for _ in 0..3 {
        assert!(matches!(lock.lock(), Err(LockError::OwnerDied)));
    }
    finish(child("other", || {
        assert!(matches!(lock.try_lock(), Err(LockError::OwnerDied)))
    }));
    drop(lock.recover().unwrap());
    drop(lock.lock().unwrap());
    finish(child("other", || drop(lock.lock().unwrap())));
}

fn an_owner_that_exits_is_a_dead_owner() {
    let lock = Lock::new().unwrap();
    finish(child("forgetful", || {
        std::mem::forget(lock.lock().unwrap())
    }));
    assert!(matches!(lock.lock(), Err(LockError::OwnerDied)));
    drop(lock.recover().unwrap());
}

fn a_waiter_learns_of_the_death() {
    let lock = Lock::new().unwrap();
    let mut waiter = None;
    while_held(&lock, || {
        let waiting = child("waiter", || {
            assert!(matches!(lock.lock(), Err(LockError::OwnerDied)))
        });
        until_asleep(waiting.pid());
        waiter = Some(waiting);
    });
    finish(waiter.unwrap());
}

fn recovering_without_a_death_is_locking() {
    let lock = Lock::new().unwrap();
    let guard = lock.recover().unwrap();
    assert!(matches!(lock.lock(), Err(LockError::AlreadyHeld)));
    drop(guard);
    drop(lock.lock().unwrap());
}

fn a_forgotten_guard_does_no_harm() {
    // In a process of its own: with a guard forgotten, it may not fork any more.
    finish(child("forgetful", || {
        for _ in 0..100 {
            let (first, second) = (Lock::new().unwrap(), Lock::new().unwrap());
            std::mem::forget(first.lock().unwrap());
            let guard = second.lock().unwrap();
            // The thread's list of robust mutexes held must not lead into unmapped memory.
            drop(first);
            drop(guard);
            drop(second.lock().unwrap());
        }
        assert!(matches!(
            Process::spawn("refused", || ()),
            Err(SpawnError::LocksHeld(100))
        ));
    }));
}

fn a_thread_that_ends_with_a_guard_forgotten_aborts() {
    // Its reference could still be used by another thread, and the kernel frees the lock.
    let (_, printed, code) = output_of(|| {
        let lock: &'static Lock = Box::leak(Box::new(Lock::new().unwrap()));
        // Not a scope, which ends before its threads quite have.
        let thread = std::thread::spawn(|| std::mem::forget(lock.lock().unwrap()));
        thread.join().unwrap();
    });
    assert_eq!(
        (printed.as_str(), code),
        ("a thread has ended that holds 1 lock(s): aborting\n", None)
    );
}

fn a_lock_dropped_while_a_thread_holds_it_stays_mapped() {
    finish(child("on its own", || {
        let (lock, other) = (Lock::new().unwrap(), Lock::new().unwrap());
        let lock = std::sync::Mutex::new(Some(lock));
        let (held, dropped) = (std::sync::Barrier::new(2), std::sync::Barrier::new(2));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::mem::forget(lock.lock().unwrap().as_ref().unwrap().lock().unwrap());
                held.wait();
                dropped.wait();
                // Walks this thread's list of held mutexes, on which the forgotten one is.
                drop(other.lock().unwrap());
                // SAFETY: ends the process, before this thread's end would abort it.
                unsafe { libc::_exit(0) };
            });
            held.wait();
            drop(lock.lock().unwrap().take());
            dropped.wait();
        });
    }));
}

fn too_many_locks_are_refused() {
    let locks: Vec<Lock> = (0..2_001).map(|_| Lock::new().unwrap()).collect();
    let mut guards: Vec<_> = locks[..2_000]
        .iter()
        .map(|lock| lock.lock().unwrap())
        .collect();
    assert!(matches!(locks[2_000].lock(), Err(LockError::TooMany)));
    guards.pop();
    drop(locks[2_000].lock().unwrap());
}
