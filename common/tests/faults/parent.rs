//! The parent is killed while its children do anything at all: they end with it.

use std::time::{Duration, Instant};

use common::{Array, Lock, Manager, Outcome, Pool, Queue, Value, pipe};

use crate::chance::Chance;
use crate::harness::{child, eventually, kill, sleep_for_ever, until_gone};

trials![
    while_its_child_sleeps,
    while_its_child_computes,
    while_its_child_waits_for_a_lock,
    while_its_child_gets,
    while_its_child_puts,
    while_its_child_sends,
    while_its_child_receives,
    while_its_child_joins_a_child,
    while_its_child_waits_for_a_managers_lock,
    while_a_manager_serves,
    while_a_pool_works,
    while_a_pool_is_idle,
];

/// How soon all must be gone.
const LIMIT: Duration = Duration::from_secs(3);

/// Kills a parent while its child does `work`, at another moment each time.
fn killed_while<R: Outcome>(work: impl Fn() -> R + Sync) {
    let mut chance = Chance::new(10);
    for _ in 0..200 {
        let pid = Value::new(0_u32).unwrap();
        let parent = child("parent", || {
            let mut child = child("child", || {
                *pid.lock().unwrap() = std::process::id();
                work()
            });
            child.join().unwrap();
        });
        eventually("the child works", || *pid.lock().unwrap() != 0);
        let pid = *pid.lock().unwrap();
        chance.pause(1_000);
        kill(parent);
        all_gone(&[pid]);
    }
}

#[track_caller]
fn all_gone(pids: &[u32]) {
    let start = Instant::now();
    for &pid in pids {
        until_gone(pid);
    }
    assert!(start.elapsed() < LIMIT, "{:?}", start.elapsed());
}

fn while_its_child_sleeps() {
    killed_while(sleep_for_ever);
}

fn while_its_child_computes() {
    killed_while(|| -> () {
        loop {
            std::hint::spin_loop();
        }
    });
}

fn while_its_child_waits_for_a_lock() {
    // Held by this process all the time, so forks are done by another one.
    let (lock, ready) = (Lock::new().unwrap(), Value::new(0_u8).unwrap());
    let holder = child("holder", || {
        let _guard = lock.lock().unwrap();
        *ready.lock().unwrap() = 1;
        sleep_for_ever();
    });
    eventually("it is held", || *ready.lock().unwrap() == 1);
    killed_while(|| drop(lock.lock().unwrap()));
    kill(holder);
}

fn while_its_child_gets() {
    let queue = Queue::<u8>::new().unwrap();
    killed_while(|| queue.get().map(drop));
}

fn while_its_child_puts() {
    let queue = Queue::with_capacity(100).unwrap();
    killed_while(|| -> () {
        loop {
            queue.put(&1).unwrap();
        }
    });
}

fn while_its_child_sends() {
    killed_while(|| -> () {
        let (left, _right) = pipe::<Vec<u8>, ()>().unwrap();
        loop {
            left.send(&vec![0; 50_000]).unwrap();
        }
    });
}

fn while_its_child_receives() {
    killed_while(|| {
        let (_left, right) = pipe::<u8, ()>().unwrap();
        right.recv().map(drop)
    });
}

fn while_its_child_joins_a_child() {
    killed_while(|| {
        let mut grandchild = child("grandchild", sleep_for_ever);
        grandchild.join().map(drop)
    });
}

fn while_its_child_waits_for_a_managers_lock() {
    killed_while(|| {
        let manager = Manager::start().unwrap();
        let lock = manager.lock().unwrap();
        let _guard = lock.lock().unwrap();
        let mut waiter = child("waiter", || lock.lock().map(drop));
        waiter.join().map(drop)
    });
}

fn while_a_manager_serves() {
    let mut chance = Chance::new(11);
    for _ in 0..200 {
        let server = Value::new(0_u32).unwrap();
        let parent = child("parent", || -> () {
            let manager = Manager::start().unwrap();
            let value = manager.value(0).unwrap();
            *server.lock().unwrap() = manager.pid();
            loop {
                value.set(&(value.get().unwrap() + 1)).unwrap();
            }
        });
        eventually("the manager serves", || *server.lock().unwrap() != 0);
        chance.pause(1_000);
        kill(parent);
        all_gone(&[*server.lock().unwrap()]);
    }
}

/// Kills the parent of a pool and looks for its supervisor and its workers.
fn pool_is_gone(tasks: u32) {
    for _ in 0..200 {
        let pids = Array::new(&[0_u32; 3]).unwrap();
        let ready = Value::new(0_u8).unwrap();
        let parent = child("parent", || {
            let pool = Pool::new(2, |sleeps: bool| {
                pids.lock()?[0] = nix::unistd::getppid().as_raw().cast_unsigned();
                let mut known = pids.lock()?;
                let me = std::process::id();
                if !known.contains(&me) {
                    let free = if known[1] == 0 { 1 } else { 2 };
                    known[free] = me;
                }
                drop(known);
                if sleeps {
                    sleep_for_ever();
                }
                anyhow::Ok(())
            })
            .unwrap();
            let _results: Vec<_> = (0..tasks).map(|_| pool.apply_async(&true)).collect();
            if tasks == 0 {
                while pids.lock().unwrap()[2] == 0 {
                    pool.map([false; 20]).unwrap();
                }
            }
            *ready.lock().unwrap() = 1;
            sleep_for_ever();
        });
        eventually("the pool is there", || {
            *ready.lock().unwrap() == 1 && !pids.lock().unwrap().contains(&0)
        });
        kill(parent);
        let pids = [0, 1, 2].map(|index| pids.lock().unwrap()[index]);
        all_gone(&pids);
    }
}

fn while_a_pool_works() {
    pool_is_gone(10);
}

fn while_a_pool_is_idle() {
    pool_is_gone(0);
}
