use std::cell::RefCell;
use std::os::unix::process::ExitStatusExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use common::{Pool, PoolError, Process, TaskError, Value};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::harness::{child, eventually, finish, output_of, sleep_for_ever, state, until_gone};

trials![
    apply_runs_a_task_in_another_process,
    tasks_capture_what_workers_inherit,
    map_keeps_the_order,
    map_takes_items_by_value_or_by_reference,
    map_gives_the_first_error_when_all_is_done,
    imap_unordered_yields_each_once_and_takes_items_as_it_goes,
    callbacks_run_here_and_may_borrow,
    a_callback_given_late_runs_at_once,
    a_callback_that_panics_costs_no_other_task,
    an_error_names_its_causes,
    a_panic_names_its_place_and_prints_nothing,
    an_argument_that_cannot_be_encoded,
    an_argument_that_cannot_be_decoded,
    a_result_that_cannot_be_encoded,
    a_result_that_cannot_be_decoded,
    too_large_an_argument_or_result,
    a_worker_that_dies_costs_its_task_alone,
    a_worker_that_exits_is_no_success,
    a_worker_that_dies_in_a_chunk_costs_what_is_left_of_it,
    a_worker_is_replaced_after_the_parent_has_started_threads,
    get_with_a_timeout_gives_the_task_back,
    ready_tells,
    more_tasks_than_the_ring_holds,
    a_closed_pool_finishes_and_takes_no_more,
    join_waits_for_all,
    terminate_ends_at_once,
    a_dropped_pool_leaves_nothing,
    a_killed_supervisor_ends_everything,
    no_workers_is_an_error,
    workers_of_a_killed_parent_end,
    a_death_is_told_when_there_is_room_for_it,
    what_was_submitted_before_the_close_is_done_after_a_death,
    chunks_and_their_results_are_cut_to_what_fits,
    time_limits_hold_amid_many_results,
    callbacks_that_wait_for_tasks_do_not_pile_up,
    a_killed_and_reaped_supervisor_ends_everything,
    a_process_inside_a_task_complains_as_any_other,
    workers_killed_at_their_start_are_replaced,
    a_copy_of_a_pool_in_a_child_is_refused,
    closing_a_copy_of_a_pool_closes_no_other,
    an_error_callback_may_wait_for_other_tasks_of_a_dead_pool,
    a_worker_keeps_no_memory_of_a_result_that_was_too_large,
    a_panic_names_no_place_of_an_earlier_one,
    a_result_that_panics_when_it_is_encoded_or_dropped,
];

type Result<T, E = TaskError> = std::result::Result<T, E>;

/// A task that does what it is told.
fn obey(order: Order) -> anyhow::Result<u64> {
    match order {
        Order::Give(number) => Ok(number),
        Order::Fail => Err(anyhow::anyhow!("the cause").context("the task failed")),
        Order::Panic => panic!("on purpose"),
        Order::Exit(code) => std::process::exit(code),
        // Again: the standard library's handler takes the first SIGSEGV for a stack overflow.
        Order::Die(signal) => loop {
            nix::sys::signal::raise(nix::sys::signal::Signal::try_from(signal)?)?;
        },
        Order::Sleep => loop {
            nix::unistd::pause();
        },
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
enum Order {
    Give(u64),
    Fail,
    Panic,
    Exit(i32),
    Die(i32),
    Sleep,
}

fn pool<'cb>() -> Pool<'cb, Order, u64> {
    Pool::new(2, obey).unwrap()
}

fn apply_runs_a_task_in_another_process() {
    let pool = Pool::new(1, |()| anyhow::Ok(std::process::id())).unwrap();
    let worker = pool.apply(&()).unwrap();
    assert_ne!(worker, std::process::id());
    assert_eq!(pool.apply(&()), Ok(worker));
    pool.join().unwrap();
}

fn tasks_capture_what_workers_inherit() {
    let (sum, factor) = (Value::new(0_u64).unwrap(), vec![10, 100]);
    let pool = Pool::new(3, |(number, which): (u64, usize)| {
        *sum.lock()? += number * factor[which];
        anyhow::Ok(())
    })
    .unwrap();
    pool.map([(1, 0), (2, 1), (3, 0)]).unwrap();
    pool.join().unwrap();
    assert_eq!(*sum.lock().unwrap(), 240);
}

fn map_keeps_the_order() {
    let pool = Pool::new(3, |number: u32| anyhow::Ok(format!("{number}"))).unwrap();
    for length in [0_u32, 1, 2, 11, 12, 13, 1_000, 50_000] {
        let expected: Vec<String> = (0..length).map(|number| number.to_string()).collect();
        assert!(pool.map(0..length).unwrap() == expected, "{length}");
    }
    // Of large items, a chunk is cut short.
    let pool = Pool::new(2, |text: String| anyhow::Ok(text.len())).unwrap();
    let texts: Vec<String> = (0..200).map(|length| "x".repeat(length * 100)).collect();
    assert_eq!(
        pool.map(&texts).unwrap(),
        texts.iter().map(String::len).collect::<Vec<_>>()
    );
}

fn map_takes_items_by_value_or_by_reference() {
    let pool = Pool::new(2, |number: i32| anyhow::Ok(-number)).unwrap();
    assert_eq!(pool.map([1, 2]).unwrap(), [-1, -2]);
    let items = vec![1, 2];
    assert_eq!(pool.map(&items).unwrap(), [-1, -2]);
    assert_eq!(pool.imap_unordered(vec![1]).next(), Some(Ok(-1)));
}

fn map_gives_the_first_error_when_all_is_done() {
    let done = Value::new(0).unwrap();
    let pool = Pool::new(2, |number: i32| {
        *done.lock()? += 1;
        anyhow::ensure!(number % 4 != 3, "{number}");
        anyhow::Ok(())
    })
    .unwrap();
    assert_eq!(pool.map(0..20), Err(TaskError::Failed("3".into())));
    assert_eq!(*done.lock().unwrap(), 20);
}

fn imap_unordered_yields_each_once_and_takes_items_as_it_goes() {
    let pool = Pool::new(3, |number: u32| anyhow::Ok(number)).unwrap();
    let mut outcomes: Vec<u32> = pool.imap_unordered(0..5_000).map(Result::unwrap).collect();
    outcomes.sort_unstable();
    assert!(outcomes.into_iter().eq(0..5_000));

    let taken = RefCell::new(0);
    let endless = (0..).inspect(|_| *taken.borrow_mut() += 1);
    assert_eq!(
        pool.imap_unordered(endless)
            .take(10)
            .filter(Result::is_ok)
            .count(),
        10
    );
    assert!(
        *taken.borrow() < 100,
        "{} of an endless number",
        taken.borrow()
    );
    assert_eq!(pool.imap_unordered(std::iter::empty::<u32>()).next(), None);
    assert_eq!(
        pool.apply(&7),
        Ok(7),
        "what was left under way does no harm"
    );
}

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
    let pool = self::pool();
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
        assert!(location.contains("promises/pool.rs:"), "{location}");
    });
    assert_eq!((printed.as_str(), code), ("", Some(0)));
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

fn get_with_a_timeout_gives_the_task_back() {
    let go = Value::new(0_u8).unwrap();
    let pool = Pool::new(1, |()| -> anyhow::Result<u8> {
        eventually("go", || *go.lock().unwrap() == 1);
        Ok(5)
    })
    .unwrap();
    let (start, limit) = (Instant::now(), Duration::from_millis(20));
    let Err(result) = pool.apply_async(&()).get_timeout(limit) else {
        panic!("done already")
    };
    assert!(start.elapsed() >= limit);
    *go.lock().unwrap() = 1;
    let Ok(outcome) = result.get_timeout(Duration::MAX) else {
        panic!("gave up")
    };
    assert_eq!(outcome, Ok(5));
}

fn ready_tells() {
    let go = Value::new(0_u8).unwrap();
    let pool = Pool::new(1, |()| -> anyhow::Result<()> {
        eventually("go", || *go.lock().unwrap() == 1);
        Ok(())
    })
    .unwrap();
    let result = pool.apply_async(&());
    assert!(!result.ready());
    *go.lock().unwrap() = 1;
    eventually("it is ready", || result.ready());
    result.get().unwrap();
}

fn more_tasks_than_the_ring_holds() {
    let pool = Pool::with_capacity(2, 4_096, |text: String| anyhow::Ok(text)).unwrap();
    let text = "x".repeat(1_000);
    let results: Vec<_> = (0..500).map(|_| pool.apply_async(&text)).collect();
    assert!(
        results
            .into_iter()
            .all(|result| result.get().as_ref() == Ok(&text))
    );
    pool.join().unwrap();
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

fn no_workers_is_an_error() {
    assert!(matches!(Pool::new(0, obey), Err(PoolError::NoWorkers)));
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

fn chunks_and_their_results_are_cut_to_what_fits() {
    let pool = Pool::with_capacity(1, 4_096, |_: u8| anyhow::Ok(vec![0_u8; 1_000])).unwrap();
    assert_eq!(pool.map([0; 40]).unwrap().len(), 40);
    let pool = Pool::with_capacity(1, 16_000, |text: String| anyhow::Ok(text.len())).unwrap();
    let texts: Vec<String> = (0..100).map(|_| "x".repeat(1_000)).collect();
    assert_eq!(pool.map(&texts).unwrap(), [1_000; 100]);
    // One that fits alone, among others.
    let lengths = [10, 10, 10, 16_300, 10, 10, 10, 10];
    let texts: Vec<String> = lengths.iter().map(|&length| "x".repeat(length)).collect();
    assert_eq!(pool.map(&texts).unwrap(), lengths);
}

fn time_limits_hold_amid_many_results() {
    let pool = Pool::new(2, |number: u64| anyhow::Ok(number)).unwrap();
    let mut slow = 0;
    let results: Vec<_> = (0..50_000)
        .map(|number| {
            let result = pool.apply_async(&number);
            result.callback(|_| std::thread::sleep(Duration::from_micros(100))) // 5 s in all
        })
        .collect();
    let last = results.into_iter().next_back().unwrap();
    let start = Instant::now();
    if last.get_timeout(Duration::from_millis(10)).is_err() {
        slow += 1;
    }
    assert_eq!(slow, 1, "it cannot be done yet");
    assert!(
        start.elapsed() < Duration::from_secs(1),
        "{:?}",
        start.elapsed()
    );
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
    assert!(
        matches!(&outcomes[1], Err(TaskError::Panicked { message, .. }) if message.contains("at encoding"))
    );
    assert!(outcomes[0].is_ok() && outcomes[2].is_ok());
    assert!(pool.map([4; 30]).is_ok());
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
