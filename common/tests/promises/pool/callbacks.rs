//! Callbacks: where they run, what they may do, and what they cost when they panic.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use common::{Pool, TaskError};

use super::{Order, pool};
use crate::harness::{eventually, sleep_for_ever};

trials![
    callbacks_run_here_and_may_borrow,
    a_callback_given_late_runs_at_once,
    a_callback_that_panics_costs_no_other_task,
    callbacks_that_wait_for_tasks_do_not_pile_up,
    an_error_callback_may_wait_for_other_tasks_of_a_dead_pool,
];

fn callbacks_run_here_and_may_borrow() {
    let mut sum = 0; // changed by the callback without a lock, and read after the join
    let here = std::process::id();
    let pool = pool();
    let _ = pool.apply_async(&Order::Give(5)).callback(|result| {
        sum += if std::process::id() == here {
            *result
        } else {
            1_000
        }
    });
    pool.join().unwrap();
    assert_eq!(sum, 5);

    let seen = RefCell::new(Vec::new());
    let pool = super::pool();
    for order in [Order::Give(1), Order::Fail, Order::Give(20)] {
        pool.apply_async(&order)
            .callback(|result| seen.borrow_mut().push(result.to_string()))
            .error_callback(|error| seen.borrow_mut().push(error.to_string()));
    }
    assert!(seen.borrow().is_empty(), "nobody has waited yet");
    pool.join().unwrap();
    let mut seen = seen.take();
    seen.sort();
    assert_eq!(seen, ["1", "20", "the task failed: the cause"]);
}

fn a_callback_given_late_runs_at_once() {
    let seen = RefCell::new(None);
    let pool = pool();
    let result = pool.apply_async(&Order::Give(3));
    eventually("it is ready", || result.ready());
    let result = result.callback(|result| *seen.borrow_mut() = Some(*result));
    assert_eq!(seen.take(), Some(3));
    assert_eq!(result.get(), Ok(3));
}

fn a_callback_that_panics_costs_no_other_task() {
    std::panic::set_hook(Box::new(|_| ()));
    let seen = RefCell::new(Vec::new());
    let pool = pool();
    let results: Vec<_> = (0..20)
        .map(|number| {
            pool.apply_async(&Order::Give(number)).callback(|result| {
                assert_ne!(*result, 3, "the callback of 3");
                assert_ne!(*result, 4, "the callback of 4");
                seen.borrow_mut().push(*result);
            })
        })
        .collect();
    let got: Vec<u64> = results
        .into_iter()
        .map(|result| result.get().unwrap())
        .collect();
    assert!(
        got.into_iter().eq(0..20),
        "also the result whose callback panicked"
    );
    let panic = catch_unwind(AssertUnwindSafe(|| pool.join())).unwrap_err();
    drop(std::panic::take_hook());
    let message = panic.downcast_ref::<String>().unwrap();
    assert!(message.contains("the callback of"), "{message}");
    assert_eq!(seen.borrow().len(), 18);
}

fn callbacks_that_wait_for_tasks_do_not_pile_up() {
    let depth = std::cell::Cell::new((0, 0)); // now, and at most
    let pool = pool();
    // The first tasks' callbacks wait for the last ones, and meanwhile all the others arrive.
    let others: Vec<_> = (0..500)
        .map(|number| pool.apply_async(&Order::Give(number)))
        .collect();
    let results: Vec<_> = others
        .into_iter()
        .map(|other| {
            let depth = &depth;
            pool.apply_async(&Order::Give(0)).callback(move |_| {
                let (now, most) = depth.get();
                depth.set((now + 1, most.max(now + 1)));
                other.get().unwrap();
                depth.set((now, depth.get().1));
            })
        })
        .collect();
    assert!(results.into_iter().all(|result| result.get() == Ok(0)));
    assert!(
        depth.get().1 <= 2,
        "{} callbacks in each other",
        depth.get().1
    );
}

fn an_error_callback_may_wait_for_other_tasks_of_a_dead_pool() {
    let heard = RefCell::new(Vec::new());
    let (heard, mut others) = (&heard, Vec::new());
    let pool = Pool::new(1, |()| -> anyhow::Result<()> {
        nix::sys::signal::kill(nix::unistd::getppid(), nix::sys::signal::Signal::SIGKILL)?;
        sleep_for_ever();
        Ok(())
    });
    let pool = pool.unwrap();
    let first = pool.apply_async(&());
    others.extend((0..3).map(|_| pool.apply_async(&())));
    let first = first.error_callback(move |_| {
        heard
            .borrow_mut()
            .extend(others.into_iter().map(|other| other.get()));
    });
    assert!(matches!(first.get(), Err(TaskError::PoolFailed(_))));
    let heard = heard.borrow();
    assert_eq!(heard.len(), 3);
    assert!(
        heard
            .iter()
            .all(|outcome| matches!(outcome, Err(TaskError::PoolFailed(_))))
    );
}
