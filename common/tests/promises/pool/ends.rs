//! How a pool ends: closed, terminated, dropped, killed, copied.

use std::cell::RefCell;

use common::{Pool, PoolError, TaskError, Value};

use super::{Order, obey, pool};
use crate::harness::{child, eventually, finish, sleep_for_ever, state, until_gone};

trials![
    no_workers_is_an_error,
    a_closed_pool_finishes_and_takes_no_more,
    join_waits_for_all,
    terminate_ends_at_once,
    a_dropped_pool_leaves_nothing,
    workers_of_a_killed_parent_end,
    a_killed_supervisor_ends_everything,
    a_killed_and_reaped_supervisor_ends_everything,
    a_copy_of_a_pool_in_a_child_is_refused,
    closing_a_copy_of_a_pool_closes_no_other,
];

fn no_workers_is_an_error() {
    assert!(matches!(Pool::new(0, obey), Err(PoolError::NoWorkers)));
}

fn a_closed_pool_finishes_and_takes_no_more() {
    let pool = pool();
    let before = pool.apply_async(&Order::Give(1));
    pool.close();
    assert_eq!(pool.apply(&Order::Give(2)), Err(TaskError::Closed));
    assert_eq!(pool.map([Order::Give(2)]), Err(TaskError::Closed));
    assert_eq!(
        pool.imap_unordered([Order::Give(2)]).next(),
        Some(Err(TaskError::Closed))
    );
    pool.join().unwrap();
    assert_eq!(before.get(), Ok(1), "after the join, too");
}

fn join_waits_for_all() {
    let done = Value::new(0).unwrap();
    let pool = Pool::new(3, |()| {
        *done.lock()? += 1;
        anyhow::Ok(())
    })
    .unwrap();
    (0..1_000).for_each(|_| drop(pool.apply_async(&())));
    pool.join().unwrap();
    assert_eq!(*done.lock().unwrap(), 1_000);
}

fn terminate_ends_at_once() {
    let called = RefCell::new(0);
    let pool = pool();
    let results: Vec<_> = (0..10_000)
        .map(|_| {
            pool.apply_async(&Order::Sleep)
                .error_callback(|_| *called.borrow_mut() += 1)
        })
        .collect();
    pool.terminate();
    assert!(
        results
            .into_iter()
            .all(|result| result.get() == Err(TaskError::Terminated))
    );
    assert_eq!(*called.borrow(), 0);
}

fn a_dropped_pool_leaves_nothing() {
    let pids = Value::new([0_i32; 2]).unwrap();
    let pool = Pool::new(2, |index: usize| -> anyhow::Result<()> {
        pids.lock()?[index] = nix::unistd::getpid().as_raw();
        sleep_for_ever();
        Ok(())
    })
    .unwrap();
    let _running = [pool.apply_async(&0), pool.apply_async(&1)];
    eventually("both run", || !pids.lock().unwrap().contains(&0));
    drop(pool);
    let pids = *pids.lock().unwrap();
    assert_eq!(
        pids.map(|pid| state(pid.cast_unsigned())),
        [None; 2],
        "not even zombies"
    );
}

fn workers_of_a_killed_parent_end() {
    let worker = Value::new(0_u32).unwrap();
    let mut parent = child("parent", || -> () {
        let pool = Pool::new(1, |()| -> anyhow::Result<()> {
            *worker.lock()? = std::process::id();
            sleep_for_ever();
            Ok(())
        });
        let _ = pool.unwrap().apply(&());
    });
    eventually("the worker works", || *worker.lock().unwrap() != 0);
    parent.kill().unwrap();
    parent.join().unwrap();
    until_gone(*worker.lock().unwrap());
    finish(child("nothing else", || ()));
}

fn a_killed_supervisor_ends_everything() {
    let pool = Pool::new(2, |()| -> anyhow::Result<i32> {
        Ok(nix::unistd::getppid().as_raw())
    });
    let pool = pool.unwrap();
    let supervisor = nix::unistd::Pid::from_raw(pool.apply(&()).unwrap());
    nix::sys::signal::kill(supervisor, nix::sys::signal::Signal::SIGKILL).unwrap();
    eventually("tasks fail", || {
        matches!(pool.apply(&()), Err(TaskError::PoolFailed(_)))
    });
    assert!(matches!(pool.join(), Err(PoolError::Ended(_))));
}

fn a_killed_and_reaped_supervisor_ends_everything() {
    finish(child("on its own", || {
        let pool = Pool::new(1, |()| anyhow::Ok(nix::unistd::getppid().as_raw())).unwrap();
        let supervisor = nix::unistd::Pid::from_raw(pool.apply(&()).unwrap());
        nix::sys::signal::kill(supervisor, nix::sys::signal::Signal::SIGKILL).unwrap();
        nix::sys::wait::waitpid(supervisor, None).unwrap();
        eventually("tasks fail", || {
            matches!(pool.apply(&()), Err(TaskError::PoolFailed(_)))
        });
    }));
}

fn a_copy_of_a_pool_in_a_child_is_refused() {
    thread_local! {
        static POOL: RefCell<Option<Pool<'static, Order, u64>>> = const { RefCell::new(None) };
    }
    POOL.set(Some(pool()));
    let submit = || POOL.with_borrow(|pool| pool.as_ref().unwrap().apply(&Order::Give(1)));
    finish(child("child", || {
        assert!(matches!(submit(), Err(TaskError::PoolFailed(_))))
    }));
    assert_eq!(submit(), Ok(1));
    drop(POOL.take());
}

fn closing_a_copy_of_a_pool_closes_no_other() {
    thread_local! {
        static POOL: RefCell<Option<Pool<'static, u64, u64>>> = const { RefCell::new(None) };
    }
    let runs = Value::new(0).unwrap();
    let runs: &'static Value<i32> = Box::leak(Box::new(runs));
    let task = |number| {
        *runs.lock()? += 1;
        anyhow::Ok(number)
    };
    // More tasks than the ring holds: the child has a copy of those that wait for room.
    let pool = Pool::with_capacity(1, 4_096, task).unwrap();
    let results: Vec<_> = (0..1_000).map(|number| pool.apply_async(&number)).collect();
    POOL.set(Some(pool));
    let end_a_copy = || {
        finish(child("child", || {
            POOL.with_borrow(|pool| pool.as_ref().unwrap().close());
            assert!(POOL.take().unwrap().join().is_err());
        }));
    };
    end_a_copy();
    let results = results.into_iter().map(|result| result.get().unwrap());
    assert!(results.eq(0..1_000));
    end_a_copy();
    let pool = POOL.take().unwrap();
    assert_eq!(pool.apply(&1), Ok(1));
    pool.join().unwrap();
    assert_eq!(*runs.lock().unwrap(), 1_001);
}
