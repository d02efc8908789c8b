//! What is done, in which order, and how one waits for it.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use common::{Pool, TaskError, Value};

use super::Result;
use crate::harness::eventually;

trials![
    apply_runs_a_task_in_another_process,
    tasks_capture_what_workers_inherit,
    map_keeps_the_order,
    map_takes_items_by_value_or_by_reference,
    map_gives_the_first_error_when_all_is_done,
    imap_unordered_yields_each_once_and_takes_items_as_it_goes,
    get_with_a_timeout_gives_the_task_back,
    ready_tells,
    more_tasks_than_the_ring_holds,
    chunks_and_their_results_are_cut_to_what_fits,
    time_limits_hold_amid_many_results,
];

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
