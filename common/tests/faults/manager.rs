//! A manager's clients, its server and the owners of its locks are killed.

use common::{Manager, ManagerError, Process, Value};
use nix::sys::signal::{Signal, kill as signal};
use nix::unistd::Pid;

use crate::chance::Chance;
use crate::harness::{child, eventually, finish, kill, sleep_for_ever};

trials![an_owner_is_killed, clients_are_killed, the_server_is_killed];

fn an_owner_is_killed() {
    let manager = Manager::start().unwrap();
    let lock = manager.lock().unwrap();
    let held = Value::new(0_u32).unwrap();
    for round in 1..=200 {
        let owner = child("owner", || {
            let _guard = lock.lock().unwrap();
            *held.lock().unwrap() = round;
            sleep_for_ever();
        });
        eventually("the owner has it", || *held.lock().unwrap() == round);
        let waiter = child("waiter", || lock.lock().map(drop));
        kill(owner);
        drop(lock.lock().unwrap());
        finish(waiter);
    }
}

/// Clients count under the lock. A kill costs at most the addition in hand.
fn clients_are_killed() {
    let mut chance = Chance::new(5);
    let manager = Manager::start().unwrap();
    let (lock, total) = (
        manager.lock().unwrap(),
        manager.value((0_u64, String::new())).unwrap(),
    );
    let own = Value::new([0_u64; 4]).unwrap();
    let start = |index: usize| {
        let (lock, total, own) = (&lock, &total, &own);
        child("client", move || -> () {
            loop {
                let _guard = lock.lock().unwrap();
                let (count, text) = total.get().unwrap();
                assert_eq!(text.len() as u64, count % 2_000, "set whole");
                own.lock().or_else(|_| own.recover()).unwrap()[index] += 1;
                total
                    .set(&(count + 1, "x".repeat((count as usize + 1) % 2_000)))
                    .unwrap();
            }
        })
    };
    let mut clients: Vec<Process> = (0..4).map(start).collect();
    let mut done = 0;
    for _ in 0..200 {
        eventually("a client counts", || {
            let before = done;
            done = total.get().unwrap().0;
            done > before
        });
        chance.pause(2_000);
        let index = chance.below(4) as usize;
        assert!(clients[index].is_alive().unwrap());
        kill(std::mem::replace(&mut clients[index], start(index)));
    }
    clients.into_iter().for_each(kill);
    let _guard = lock.lock().unwrap();
    let own: u64 = own.lock().or_else(|_| own.recover()).unwrap().iter().sum();
    let total = total.get().unwrap().0;
    assert!(
        total <= own && own <= total + 204,
        "{total} in the manager, {own} begun"
    );
}

fn the_server_is_killed() {
    let mut chance = Chance::new(6);
    for _ in 0..200 {
        let manager = Manager::start().unwrap();
        let (lock, value) = (manager.lock().unwrap(), manager.value(0_u32).unwrap());
        let use_it = || -> Result<(), ManagerError> {
            let _guard = lock.lock()?;
            value.set(&(value.get()? + 1))
        };
        let client = || {
            let end = std::iter::from_fn(|| Some(use_it()))
                .find_map(Result::err)
                .unwrap();
            assert!(matches!(end, ManagerError::Gone { .. }), "{end}");
        };
        let clients: Vec<Process> = (0..3).map(|_| child("client", client)).collect();
        chance.pause(3_000);
        signal(Pid::from_raw(manager.pid().cast_signed()), Signal::SIGKILL).unwrap();
        clients.into_iter().for_each(finish);
        client();
    }
}
