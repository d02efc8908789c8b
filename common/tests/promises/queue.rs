//! A queue: order, bounds, timeouts, its end, and items that do not cross.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use common::{GetError, Process, PutError, Queue, Value};
use ipc_channel::ipc::{self, IpcSender};
use nix::sys::resource::{UsageWho, getrusage};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::harness::{child, finish, until_asleep};

trials![
    every_item_arrives_once_and_in_its_producers_order,
    items_of_all_sizes_arrive_whole,
    any_serde_type_travels,
    a_full_queue_takes_no_more_until_there_is_room,
    an_empty_queue_gives_nothing_in_time,
    a_capacity_is_what_fits,
    an_item_too_large_names_both_sizes,
    an_item_that_cannot_be_encoded_changes_nothing,
    an_item_that_cannot_be_decoded_spoils_no_other,
    an_end_of_ipc_channel_is_a_decoding_error,
    len_counts_and_is_empty_tells,
    after_close_puts_fail_and_gets_drain,
    close_wakes_all_who_wait,
    waiting_costs_no_cpu,
    a_queue_as_large_as_the_counter_wraps,
    who_waits_for_an_item_is_woken,
    who_waits_for_room_is_woken,
    who_waits_is_woken_by_close,
    a_ring_that_was_written_over_is_an_error_and_no_crash,
];

fn every_item_arrives_once_and_in_its_producers_order() {
    let (queue, seen) = (Queue::with_capacity(500).unwrap(), Queue::new().unwrap());
    let producers: Vec<Process> = (0..3_u32)
        .map(|producer| {
            let queue = &queue;
            child("producer", move || {
                (0..5_000_u32).try_for_each(|number| queue.put(&(producer, number)))
            })
        })
        .collect();
    let consume = || {
        let mut last = BTreeMap::new();
        let mut count = [0_u32; 3];
        for item in queue.iter() {
            let (producer, number) = item.unwrap();
            assert!(
                last.insert(producer, number) < Some(number),
                "each producer's in its order"
            );
            count[producer as usize] += 1;
        }
        seen.put(&count).unwrap();
    };
    let consumers: Vec<Process> = (0..3).map(|_| child("consumer", consume)).collect();
    producers.into_iter().for_each(finish);
    queue.close();
    consumers.into_iter().for_each(finish);
    let counts: [[u32; 3]; 3] = std::array::from_fn(|_| seen.try_get().unwrap());
    for producer in 0..3 {
        assert_eq!(
            counts.iter().map(|count| count[producer]).sum::<u32>(),
            5_000
        );
    }
}

fn items_of_all_sizes_arrive_whole() {
    let queue = Queue::with_capacity(1_000).unwrap();
    let item = |length: u32| {
        (0..length)
            .map(|byte| (byte * length) as u8)
            .collect::<Vec<u8>>()
    };
    let lengths = || (0..3_000_u32).map(|number| number.wrapping_mul(2_654_435_761) % 900);
    let producer = child("producer", || {
        lengths().try_for_each(|length| queue.put(&item(length)))
    });
    for length in lengths() {
        assert_eq!(queue.get().unwrap(), item(length));
    }
    finish(producer);
}

fn any_serde_type_travels() {
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    enum Message {
        Empty,
        Text {
            words: Vec<String>,
            rest: Option<Box<Message>>,
        },
    }
    let text = Message::Text {
        words: vec!["zwei".into(), String::new()],
        rest: Some(Box::new(Message::Empty)),
    };
    let queue = Queue::new().unwrap();
    finish(child("producer", || queue.put(&text)));
    assert_eq!(queue.get().unwrap(), text);
    let units = Queue::new().unwrap();
    units.put(&()).unwrap();
    units.get().unwrap();
}

fn a_full_queue_takes_no_more_until_there_is_room() {
    let queue = Queue::with_capacity(60).unwrap();
    let put = (0_u8..)
        .take_while(|item| queue.try_put(item).is_ok())
        .count();
    assert_eq!(put, 8, "64 bytes, 5 rounded up to 8 for each item");
    let (start, limit) = (Instant::now(), Duration::from_millis(20));
    assert!(matches!(queue.put_timeout(&9, limit), Err(PutError::Full)));
    assert!(start.elapsed() >= limit);
    let producer = child("producer", || queue.put(&8));
    until_asleep(producer.pid());
    let items: Vec<u8> = (0..9).map(|_| queue.get().unwrap()).collect();
    assert_eq!(items, [0, 1, 2, 3, 4, 5, 6, 7, 8]);
    finish(producer);
}

fn an_empty_queue_gives_nothing_in_time() {
    let queue = Queue::<u8>::new().unwrap();
    assert!(matches!(queue.try_get(), Err(GetError::Empty)));
    let (start, limit) = (Instant::now(), Duration::from_millis(20));
    assert!(matches!(queue.get_timeout(limit), Err(GetError::Empty)));
    assert!(start.elapsed() >= limit);
}

fn a_capacity_is_what_fits() {
    for capacity in [0, 1, 60, 61, 1_000, 4_096] {
        let queue = Queue::with_capacity(capacity).unwrap();
        // A string's length takes one byte below 128 and two above.
        let length = capacity.saturating_sub(if capacity > 128 { 2 } else { 1 });
        let item = "x".repeat(length);
        for _ in 0..3 {
            queue.try_put(&item).unwrap();
            assert_eq!(queue.try_get().unwrap(), item);
        }
    }
    let error = Queue::<u8>::with_capacity(usize::MAX).err().unwrap();
    assert!(
        error.to_string().contains("the largest is 1073741820"),
        "{error}"
    );
}

fn an_item_too_large_names_both_sizes() {
    let queue = Queue::with_capacity(60).unwrap();
    queue.put(&"fits".to_owned()).unwrap();
    let error = queue.put(&"x".repeat(99)).unwrap_err();
    assert!(matches!(
        error,
        PutError::TooLarge {
            size: 100,
            capacity: 60
        }
    ));
    assert!(error.to_string().contains("100 bytes") && error.to_string().contains("60 bytes"));
    assert_eq!(
        (queue.len().unwrap(), queue.get().unwrap().as_str()),
        (1, "fits")
    );
}

/// Refuses to be encoded when odd, and to be decoded when 4.
#[derive(Debug, PartialEq)]
struct Picky(u8);

impl Serialize for Picky {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0 % 2 == 1 {
            return Err(serde::ser::Error::custom("odd"));
        }
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Picky {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u8::deserialize(deserializer)? {
            4 => Err(serde::de::Error::custom("four")),
            number => Ok(Picky(number)),
        }
    }
}

fn an_item_that_cannot_be_encoded_changes_nothing() {
    let queue = Queue::new().unwrap();
    queue.put(&Picky(2)).unwrap();
    assert!(matches!(queue.put(&Picky(3)), Err(PutError::Encode(_))));
    assert_eq!(queue.len().unwrap(), 1);
    assert_eq!(queue.get().unwrap(), Picky(2));
}

fn an_item_that_cannot_be_decoded_spoils_no_other() {
    let queue = Queue::new().unwrap();
    [2, 4, 6]
        .into_iter()
        .for_each(|number| queue.put(&Picky(number)).unwrap());
    assert_eq!(queue.get().unwrap(), Picky(2));
    assert!(matches!(queue.get(), Err(GetError::Decode(_))));
    assert_eq!(queue.get().unwrap(), Picky(6));
}

fn an_end_of_ipc_channel_is_a_decoding_error() {
    finish(child("on its own", || {
        // Its panic is expected, and not to be printed.
        std::panic::set_hook(Box::new(|_| ()));
        let queue = Queue::<IpcSender<u8>>::new().unwrap();
        let (sender, _receiver) = ipc::channel().unwrap();
        queue.put(&sender).unwrap();
        assert!(matches!(queue.get(), Err(GetError::Decode(_))));
    }));
}

fn len_counts_and_is_empty_tells() {
    let queue = Queue::new().unwrap();
    assert!(queue.is_empty());
    for count in 1..=5 {
        queue.put(&"x".repeat(count)).unwrap();
        assert_eq!(queue.len().unwrap(), count);
    }
    assert!(!queue.is_empty());
    queue.get().unwrap();
    assert_eq!(queue.len().unwrap(), 4);
}

fn after_close_puts_fail_and_gets_drain() {
    let queue = Queue::new().unwrap();
    [1, 2]
        .into_iter()
        .for_each(|item| queue.put(&item).unwrap());
    finish(child("closer", || queue.close()));
    queue.close();
    assert!(matches!(queue.put(&3), Err(PutError::Closed)));
    assert!(matches!(queue.try_put(&3), Err(PutError::Closed)));
    assert_eq!(
        queue.iter().map(Result::unwrap).collect::<Vec<i32>>(),
        [1, 2]
    );
    assert!(matches!(queue.get(), Err(GetError::Closed)));
    assert!(matches!(queue.try_get(), Err(GetError::Closed)));
}

fn close_wakes_all_who_wait() {
    let (empty, full) = (
        Queue::<u8>::new().unwrap(),
        Queue::with_capacity(60).unwrap(),
    );
    while full.try_put(&0_u8).is_ok() {}
    let mut waiting = Vec::new();
    for _ in 0..3 {
        waiting.push(child("getter", || {
            assert!(matches!(empty.get(), Err(GetError::Closed)))
        }));
        waiting.push(child("putter", || {
            assert!(matches!(full.put(&0), Err(PutError::Closed)))
        }));
    }
    waiting
        .iter()
        .for_each(|process| until_asleep(process.pid()));
    empty.close();
    full.close();
    waiting.into_iter().for_each(finish);
}

fn waiting_costs_no_cpu() {
    let (queue, used) = (Queue::<u8>::new().unwrap(), Value::new(0_i64).unwrap());
    finish(child("waiter", || {
        assert!(matches!(
            queue.get_timeout(Duration::from_secs(1)),
            Err(GetError::Empty)
        ));
        let usage = getrusage(UsageWho::RUSAGE_SELF).unwrap();
        let time = usage.user_time() + usage.system_time();
        *used.lock().unwrap() = time.tv_sec() * 1_000_000 + time.tv_usec();
    }));
    // A spinning wait would have used a second; this one is some 50 us, and what a fork costs.
    let used = *used.lock().unwrap();
    assert!(used < 50_000, "{used} us in one second");
}

/// Positions count bytes modulo 2^32: go once around.
fn a_queue_as_large_as_the_counter_wraps() {
    let queue = Queue::with_capacity(64 << 20).unwrap();
    let item = vec![7_u64; 7 << 20];
    for round in 0..(1_u64 << 32) / (7 << 20) + 2 {
        queue.put(&(round, item.as_slice().len())).unwrap();
        assert_eq!(queue.get().unwrap(), (round, item.len()));
    }
}

/// A wake-up that is lost is made up for within 100 ms, so it is time that tells. A busy machine
/// may be slow as well, but not most of the time.
#[track_caller]
fn mostly_at_once(mut round: impl FnMut() -> Instant) {
    let late = (0..20)
        .filter(|_| round().elapsed() > Duration::from_millis(60))
        .count();
    assert!(late < 10, "{late} of 20 rounds took longer than 60 ms");
}

fn who_waits_for_an_item_is_woken() {
    let (there, back) = (Queue::new().unwrap(), Queue::new().unwrap());
    let echo = child("echo", || {
        there
            .iter()
            .try_for_each(|item: Result<u8, _>| back.put(&item.unwrap()))
    });
    mostly_at_once(|| {
        until_asleep(echo.pid());
        let start = Instant::now();
        there.put(&7).unwrap();
        assert_eq!(back.get().unwrap(), 7);
        start
    });
    there.close();
    finish(echo);
}

/// The first to wait needs more room than there will be, the second one less.
fn who_waits_for_room_is_woken() {
    mostly_at_once(|| {
        let queue = Queue::with_capacity(60).unwrap();
        while queue.try_put(&vec![0_u8; 3]).is_ok() {}
        let large = child("large", || queue.put(&vec![1; 50]));
        until_asleep(large.pid());
        let small = child("small", || queue.put(&vec![2]));
        until_asleep(small.pid());
        let start = Instant::now();
        queue.get().unwrap();
        finish(small);
        let took = start.elapsed();
        while !large_done(&queue) {}
        finish(large);
        Instant::now() - took
    });
}

/// Takes items until the large one.
fn large_done(queue: &Queue<Vec<u8>>) -> bool {
    queue.get().unwrap().len() == 50
}

fn who_waits_is_woken_by_close() {
    mostly_at_once(|| {
        let queue = Queue::<u8>::new().unwrap();
        let get = || assert!(queue.get().is_err());
        let getters: Vec<_> = (0..2).map(|_| child("getter", get)).collect();
        getters.iter().for_each(|getter| until_asleep(getter.pid()));
        let start = Instant::now();
        queue.close();
        getters.into_iter().for_each(finish);
        start
    });
}

/// Some process has written where it should not: whoever reads must not follow that anywhere.
fn a_ring_that_was_written_over_is_an_error_and_no_crash() {
    let mapped = || -> BTreeSet<(u64, u64)> {
        let maps = fs::read_to_string("/proc/self/maps").unwrap();
        let shared = maps.lines().filter(|line| line.contains("rw-s"));
        let hex = |text: &str| u64::from_str_radix(text, 16).unwrap();
        let range = |line: &str| {
            let (start, rest) = line.split_once('-')?;
            Some((hex(start), hex(rest.split_once(' ')?.0)))
        };
        shared.filter_map(range).collect()
    };
    let mut draw = 1_u64;
    for round in 0..400_u64 {
        draw = draw.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        // The positions of both ends and the records; the mutexes are left alone.
        let place = 256 + (draw >> 33) % 400 / 4 * 4;
        let value = [u32::MAX, 1 << 31, 3, 5_000, (draw >> 20) as u32][(round % 5) as usize];
        let mut attempt = child("attempt", || {
            let before = mapped();
            let queue = Queue::<Vec<u8>>::with_capacity(5_000).unwrap();
            queue.put(&vec![1; 100]).unwrap();
            queue.put(&vec![2; 100]).unwrap();
            let now = mapped();
            let &(start, _) = now.difference(&before).next().expect("the queue's mapping");
            let memory = OpenOptions::new()
                .write(true)
                .open("/proc/self/mem")
                .unwrap();
            memory
                .write_all_at(&value.to_ne_bytes(), start + place)
                .unwrap();
            let _ = (queue.try_get(), queue.len(), queue.is_empty());
            let _ = (
                queue.try_put(&vec![3; 100]),
                queue.try_get(),
                queue.try_get(),
            );
        });
        let status = attempt.join().unwrap();
        assert!(status.success(), "round {round}: {status}");
    }
}
