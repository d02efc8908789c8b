//! Programs that are looked at: this test, started with the name of one.

use std::env;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::thread::{self, sleep};
use std::time::Duration;

use common::{Lock, Manager, Pool, Process, Queue, Value, pipe};

use crate::harness::{child, finish, kill, sleep_for_ever};

const ALL: [(&str, fn()); 16] = [
    ("greeting", greeting),
    ("outcomes", outcomes),
    ("counters", counters),
    ("two-locks", two_locks),
    ("items", items),
    ("restless", restless),
    ("nobody", nobody),
    ("circles", circles),
    ("sides", sides),
    ("servants", servants),
    ("market", market),
    ("threads", threads),
    ("numbers", numbers),
    ("starter", starter),
    ("mourner", mourner),
    ("crowd", crowd),
];

/// Runs the program that the command line names.
pub fn run() -> bool {
    let name = env::args().nth(1);
    let program = ALL
        .iter()
        .find(|(known, _)| name.as_deref() == Some(*known));
    program.inspect(|(_, body)| body()).is_some()
}

/// One item of a child's.
fn greeting() {
    let queue = Queue::new().unwrap();
    let child = child("greeter", || queue.put(&1));
    assert_eq!(queue.get().unwrap(), 1);
    finish(child);
    queue.close();
}

fn outcomes() {
    let queue = Queue::<u8>::with_capacity(60).unwrap();
    queue.try_get().unwrap_err();
    queue.get_timeout(Duration::from_millis(1)).unwrap_err();
    while queue.try_put(&1).is_ok() {}
    queue.close();
    queue.put(&1).unwrap_err();
    while queue.get().is_ok() {}
    let lock = Lock::new().unwrap();
    let _guard = lock.lock().unwrap();
    lock.try_lock().unwrap_err();
}

pub const COUNTERS: u32 = 4;
pub const ADDITIONS: u32 = 300;

fn counters() {
    let counter = Value::new(0).unwrap();
    let children: Vec<_> = (1..=COUNTERS)
        .map(|number| {
            child(&format!("counter {number}"), || {
                for _ in 0..ADDITIONS {
                    *counter.lock().unwrap() += 1;
                }
            })
        })
        .collect();
    children.into_iter().for_each(finish);
    assert_eq!(*counter.lock().unwrap(), COUNTERS * ADDITIONS);
}

/// Made on one line, and used in both processes.
fn two_locks() {
    let locks = [(); 2].map(|()| Lock::new().unwrap());
    let use_both = || locks.iter().for_each(|lock| drop(lock.lock().unwrap()));
    finish(child("child", use_both));
    use_both();
}

/// An item of its own, and three of a child's.
fn items() {
    let queue = Queue::new().unwrap();
    queue.put(&0).unwrap();
    let mut child = child("producer", || (1..=3).try_for_each(|item| queue.put(&item)));
    for item in 0..=3 {
        assert_eq!(queue.get().unwrap(), item);
    }
    assert!(child.join().unwrap().success());
}

/// A child that does what it can, and is killed in the middle of it; then the same again.
fn restless() {
    let (counter, queue) = (Value::new(0_u64).unwrap(), Queue::new().unwrap());
    for number in 0..100 {
        let child = child("restless", || -> anyhow::Result<()> {
            loop {
                *counter.lock()? += 1;
                queue.put(&1_u8)?;
                queue.get()?;
                drop(Lock::new()?);
            }
        });
        while queue.is_empty() {}
        sleep(Duration::from_micros(number * 10));
        kill(child);
        drop(counter.recover().unwrap());
        while queue.try_get().is_ok() {}
    }
}

/// Waits for what nobody puts.
fn nobody() {
    Queue::<u8>::new().unwrap().get().unwrap();
}

/// Two pairs of processes that wait for each other, beside one that may do anything.
fn circles() {
    let pairs = [(); 2].map(|()| [(); 2].map(|()| (Lock::new().unwrap(), Queue::new().unwrap())));
    let _children = pairs.each_ref().map(|[left, right]| {
        [(left, right), (right, left)].map(|(mine, other)| {
            child("waits", || -> anyhow::Result<()> {
                let _guard = mine.0.lock()?;
                other.1.put(&())?;
                mine.1.get()?;
                let _guard = other.0.lock()?;
                Ok(())
            })
        })
    });
    sleep_for_ever();
}

fn sides() {
    let (ours, theirs) = pipe::<u8, u8>().unwrap();
    let child = child("speller", move || -> anyhow::Result<()> {
        theirs.send(&(theirs.recv()? + 1))?;
        Ok(())
    });
    ours.send(&1).unwrap();
    assert_eq!(ours.recv().unwrap(), 2);
    finish(child);
}

fn servants() {
    let manager = Manager::start().unwrap();
    let (value, lock) = (manager.value(0).unwrap(), manager.lock().unwrap());
    let pool = Pool::new(2, |number: i32| -> anyhow::Result<()> {
        let _guard = lock.lock()?;
        value.set(&(value.get()? + number))?;
        Ok(())
    })
    .unwrap();
    assert!(pool.map([1, 2, 3]).unwrap().len() == 3);
    pool.join().unwrap();
}

/// Three put and three get. Who gets an item takes the lock of the one that has put it.
fn market() {
    let (queue, locks) = (
        Queue::new().unwrap(),
        [(); 3].map(|()| Lock::new().unwrap()),
    );
    let sell = |number: usize| (0..100).try_for_each(|_| queue.put(&number));
    let buy = || (0..100).for_each(|_| drop(locks[queue.get().unwrap()].lock().unwrap()));
    let children = (0..3).map(|number| {
        let seller = child(&format!("seller {number}"), || sell(number));
        [seller, child(&format!("buyer {number}"), buy)]
    });
    let children: Vec<_> = children.collect();
    children.into_iter().flatten().for_each(finish);
}

fn numbers() {
    let left = Value::new(-3_i64).unwrap();
    *left.lock().unwrap() += 3;
    let (middle, small) = (Value::new(7_u64).unwrap(), Value::new(i32::MIN).unwrap());
    *middle.lock().unwrap() = i32::MAX as u64;
    drop(small.lock().unwrap());
    drop(Value::new(1.5).unwrap().lock().unwrap());
    drop(Lock::new().unwrap().lock().unwrap());
}

fn threads() {
    let counter = Value::new(0).unwrap();
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| (0..10).for_each(|_| *counter.lock().unwrap() += 1));
        }
    });
}

/// Its child becomes another program.
fn starter() {
    let path = env::current_exe().unwrap();
    finish(child("starter", || -> () {
        panic!("{}", Command::new(&path).arg("greeting").exec())
    }));
}

/// A child is killed while it holds a lock, and the next to lock is told.
fn mourner() {
    let counter = Value::new(0).unwrap();
    let mut child = child("victim", || {
        for _ in 0..5 {
            *counter.lock().unwrap() += 1;
        }
    });
    println!("{}", child.join().unwrap());
    println!("{}", counter.lock().unwrap_err());
    println!("{}", *counter.recover().unwrap());
}

/// As many as two processes at a time, and what each says on standard error.
fn crowd() {
    let children = ["one", "two"].map(|name| child(name, || drop(Lock::new().unwrap())));
    children.into_iter().for_each(finish);
    assert_eq!(Process::current_name(), "main");
}
