//! Workers that die: what that costs, and that they are replaced.

use std::os::unix::process::ExitStatusExt;

use common::{Pool, Process, TaskError, Value};

use super::{Order, obey, pool};
use crate::harness::{eventually, state};

trials![
    a_worker_that_dies_costs_its_task_alone,
    a_worker_that_exits_is_no_success,
    a_worker_that_dies_in_a_chunk_costs_what_is_left_of_it,
    a_worker_is_replaced_after_the_parent_has_started_threads,
    a_death_is_told_when_there_is_room_for_it,
    what_was_submitted_before_the_close_is_done_after_a_death,
    workers_killed_at_their_start_are_replaced,
];

fn a_worker_that_dies_costs_its_task_alone() {
    let pool = pool();
    for signal in [libc::SIGKILL, libc::SIGTERM, libc::SIGSEGV, libc::SIGABRT] {
        let orders = (0..20).map(|n| {
            if n == 7 {
                Order::Die(signal)
            } else {
                Order::Give(n)
            }
        });
        let results: Vec<_> = orders.map(|order| pool.apply_async(&order)).collect();
        for (number, result) in results.into_iter().enumerate() {
            match result.get() {
                Err(TaskError::WorkerDied { status, .. }) if number == 7 => {
                    assert_eq!(status.signal(), Some(signal));
                }
                outcome => assert_eq!(outcome, Ok(number as u64)),
            }
        }
    }
    pool.join().unwrap();
}

fn a_worker_that_exits_is_no_success() {
    let pool = pool();
    for code in [0, 3] {
        let error = pool.apply(&Order::Exit(code)).unwrap_err();
        let TaskError::WorkerDied { status, .. } = error else {
            panic!("{error}")
        };
        assert_eq!(status.code(), Some(code));
    }
    pool.join().unwrap();
}

fn a_worker_that_dies_in_a_chunk_costs_what_is_left_of_it() {
    let pool = pool();
    let orders = (0..100).map(|n| {
        if n == 50 {
            Order::Die(libc::SIGKILL)
        } else {
            Order::Give(n)
        }
    });
    assert!(matches!(
        pool.map(orders),
        Err(TaskError::WorkerDied { .. })
    ));
    assert_eq!(
        pool.map((0..9).map(Order::Give)).unwrap(),
        (0..9).collect::<Vec<u64>>()
    );
}

fn a_worker_is_replaced_after_the_parent_has_started_threads() {
    let pool = pool();
    std::thread::scope(|scope| {
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        scope.spawn(move || stopped.recv());
        assert!(Process::spawn("refused", || ()).is_err());
        for _ in 0..4 {
            assert!(pool.apply(&Order::Die(libc::SIGKILL)).is_err());
            assert_eq!(pool.apply(&Order::Give(1)), Ok(1));
        }
        drop(stop);
    });
    pool.join().unwrap();
}

fn a_death_is_told_when_there_is_room_for_it() {
    // Results fill the ring, so what the supervisor has to say must wait.
    let pid = Value::new(0_u32).unwrap();
    let pool = Pool::with_capacity(2, 4_096, |dies: bool| -> anyhow::Result<Vec<u8>> {
        if dies {
            *pid.lock()? = std::process::id();
            std::process::abort();
        }
        Ok(vec![0; 1_000])
    })
    .unwrap();
    let results: Vec<_> = (0..10)
        .map(|number| pool.apply_async(&(number == 9)))
        .collect();
    eventually("it is reaped", || {
        let pid = *pid.lock().unwrap();
        pid != 0 && state(pid).is_none()
    });
    let errors = results
        .into_iter()
        .filter_map(|result| result.get().err())
        .count();
    assert_eq!(errors, 1);
}

fn what_was_submitted_before_the_close_is_done_after_a_death() {
    let pool = Pool::new(1, obey).unwrap();
    let orders = [Order::Die(libc::SIGKILL), Order::Give(1), Order::Give(2)];
    let results = orders.map(|order| pool.apply_async(&order));
    pool.close();
    let outcomes = results.map(|result| result.get().ok());
    assert_eq!(outcomes, [None, Some(1), Some(2)]);
    pool.join().unwrap();
}

fn workers_killed_at_their_start_are_replaced() {
    let pool = Pool::new(4, |()| anyhow::Ok(nix::unistd::getppid().as_raw())).unwrap();
    let supervisor = pool.apply(&()).unwrap();
    for _ in 0..40 {
        let children = format!("/proc/{supervisor}/task/{supervisor}/children");
        for worker in std::fs::read_to_string(children)
            .unwrap()
            .split_whitespace()
        {
            let worker = nix::unistd::Pid::from_raw(worker.parse().unwrap());
            let _ = nix::sys::signal::kill(worker, nix::sys::signal::Signal::SIGKILL);
        }
    }
    eventually("it works", || pool.apply(&()).is_ok());
    pool.join().unwrap();
}
