//! A manager: values and locks that a server keeps, and what its death leaves.

use std::cell::RefCell;
use std::time::Duration;

use common::{
    GetError, LockProxy, LockProxyGuard, Manager, ManagerError, Pool, Queue, Value, ValueProxy,
    pipe,
};

use crate::harness::{
    child, descriptors, eventually, finish, kill, sleep_for_ever, state, until_asleep, until_gone,
};

trials![
    a_value_is_the_same_for_all,
    a_value_can_be_of_any_type_and_size,
    the_lock_keeps_get_and_set_together,
    taking_the_lock_twice_is_an_error,
    the_lock_comes_free_when_its_holder_dies,
    a_waiter_that_dies_is_passed_over,
    a_forked_copy_has_its_own_connection,
    threads_have_connections_of_their_own,
    a_proxy_travels_over_a_queue_a_pipe_and_a_pool,
    a_proxy_of_an_unknown_manager_is_a_decoding_error,
    a_proxy_of_another_type_is_an_error,
    a_dead_server_is_an_error_at_once_for_every_caller,
    a_dropped_manager_is_gone,
    the_server_ends_with_its_owner,
    a_client_that_dies_costs_the_server_nothing,
    two_managers_are_two,
    the_lock_is_for_the_first_who_came,
    a_value_of_the_wrong_proxy_spoils_no_other,
    a_server_without_descriptors_refuses_a_client_and_serves_the_others,
    an_end_of_ipc_channel_left_over_does_no_harm,
    a_guard_may_outlive_its_threads_connection,
];

fn a_value_is_the_same_for_all() {
    let manager = Manager::start().unwrap();
    let value = manager.value(1).unwrap();
    finish(child("setter", || value.set(&(value.get()? + 1))));
    assert_eq!(value.get().unwrap(), 2);
}

fn a_value_can_be_of_any_type_and_size() {
    let manager = Manager::start().unwrap();
    let text = manager.value(String::new()).unwrap();
    // Around the size of one message, and many messages long.
    for length in [0, 1, 65_533, 65_534, 65_536, 65_537, 131_072, 3_000_000] {
        let long: String = ('a'..='z').cycle().take(length).collect();
        text.set(&long).unwrap();
        assert!(text.get().unwrap() == long, "{length}");
        assert!(
            manager.value(long.clone()).unwrap().get().unwrap() == long,
            "{length}"
        );
    }
}

fn the_lock_keeps_get_and_set_together() {
    let manager = Manager::start().unwrap();
    let (value, lock) = (manager.value(0).unwrap(), manager.lock().unwrap());
    let work = || {
        for _ in 0..500 {
            let _guard = lock.lock().unwrap();
            value.set(&(value.get().unwrap() + 1)).unwrap();
        }
    };
    (0..4)
        .map(|_| child("counter", work))
        .collect::<Vec<_>>()
        .into_iter()
        .for_each(finish);
    assert_eq!(value.get().unwrap(), 2_000);
}

fn taking_the_lock_twice_is_an_error() {
    let manager = Manager::start().unwrap();
    let lock = manager.lock().unwrap();
    let guard = lock.lock().unwrap();
    assert!(matches!(lock.lock(), Err(ManagerError::AlreadyHeld)));
    drop(guard);
    drop(lock.lock().unwrap());
}

/// A child that holds the lock, for ever.
fn holder(lock: &LockProxy) -> common::Process {
    let held = Value::new(0_u8).unwrap();
    let holder = child("holder", || {
        let _guard = lock.lock().unwrap();
        *held.lock().unwrap() = 1;
        sleep_for_ever();
    });
    eventually("it is held", || *held.lock().unwrap() == 1);
    holder
}

fn the_lock_comes_free_when_its_holder_dies() {
    let manager = Manager::start().unwrap();
    let lock = manager.lock().unwrap();
    let holder = holder(&lock);
    let waiter = child("waiter", || lock.lock().map(drop));
    until_asleep(waiter.pid());
    kill(holder);
    finish(waiter);
    drop(lock.lock().unwrap());
}

fn a_waiter_that_dies_is_passed_over() {
    let manager = Manager::start().unwrap();
    let lock = manager.lock().unwrap();
    let holder = holder(&lock);
    let waiters: Vec<_> = (0..3)
        .map(|_| child("waiter", || lock.lock().map(drop)))
        .collect();
    waiters.iter().for_each(|waiter| until_asleep(waiter.pid()));
    let mut waiters = waiters.into_iter();
    kill(waiters.next().unwrap());
    kill(holder);
    waiters.for_each(finish);
}

fn a_forked_copy_has_its_own_connection() {
    let manager = Manager::start().unwrap();
    let value = manager.value(0_u32).unwrap();
    value.get().unwrap(); // this process has a connection, which the children inherit
    let work = || {
        for _ in 0..300 {
            assert!(value.get().unwrap() < 4);
            value.set(&(std::process::id() % 4)).unwrap();
        }
    };
    (0..3)
        .map(|_| child("client", work))
        .collect::<Vec<_>>()
        .into_iter()
        .for_each(finish);
    work();
}

fn threads_have_connections_of_their_own() {
    let manager = Manager::start().unwrap();
    let (value, lock) = (manager.value(0).unwrap(), manager.lock().unwrap());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..100 {
                    let _guard = lock.lock().unwrap();
                    value.set(&(value.get().unwrap() + 1)).unwrap();
                }
            });
        }
    });
    assert_eq!(value.get().unwrap(), 400);
}

fn a_proxy_travels_over_a_queue_a_pipe_and_a_pool() {
    let manager = Manager::start().unwrap();
    let (value, lock) = (manager.value(0).unwrap(), manager.lock().unwrap());
    let add = |(value, lock): (ValueProxy<i32>, LockProxy)| -> Result<(), ManagerError> {
        let _guard = lock.lock()?;
        value.set(&(value.get()? + 1))
    };
    let queue = Queue::new().unwrap();
    let receiver = child("queue", || add(queue.get().unwrap()));
    queue.put(&(value.clone(), lock.clone())).unwrap();
    finish(receiver);

    let (ours, theirs) = pipe::<(ValueProxy<i32>, LockProxy), ()>().unwrap();
    let receiver = child("pipe", move || add(theirs.recv().unwrap()));
    ours.send(&(value.clone(), lock.clone())).unwrap();
    finish(receiver);

    let pool = Pool::new(2, add).unwrap();
    pool.apply(&(value.clone(), lock.clone())).unwrap();
    pool.join().unwrap();
    assert_eq!(value.get().unwrap(), 3);
}

fn a_proxy_of_an_unknown_manager_is_a_decoding_error() {
    let queue = Queue::<ValueProxy<i32>>::new().unwrap();
    let sent = Queue::new().unwrap();
    let stranger = child("stranger", || {
        sent.get().unwrap();
        let Err(GetError::Decode(_)) = queue.get() else {
            panic!("it knows the manager")
        };
    });
    let manager = Manager::start().unwrap();
    queue.put(&manager.value(0).unwrap()).unwrap();
    sent.put(&()).unwrap();
    finish(stranger);
}

fn a_proxy_of_another_type_is_an_error() {
    let manager = Manager::start().unwrap();
    let lock = manager.lock().unwrap();
    let queue = Queue::new().unwrap();
    queue.put(&lock).unwrap();
    let misread = postcard::to_stdvec(&lock).unwrap();
    let value: ValueProxy<i32> = postcard::from_bytes(&misread).unwrap();
    assert!(matches!(value.get(), Err(ManagerError::NoSuchObject)));
    let number = manager.value(300).unwrap();
    let text: ValueProxy<String> =
        postcard::from_bytes(&postcard::to_stdvec(&number).unwrap()).unwrap();
    assert!(matches!(text.get(), Err(ManagerError::Decode(_))));
}

fn a_dead_server_is_an_error_at_once_for_every_caller() {
    let manager = Manager::start().unwrap();
    let (value, lock) = (manager.value(0).unwrap(), manager.lock().unwrap());
    let holder = holder(&lock);
    let is_gone = |error| matches!(error, ManagerError::Gone { pid } if pid == manager.pid());
    let waiter = child("waits", || assert!(lock.lock().is_err_and(is_gone)));
    until_asleep(waiter.pid());
    let (start, started) = (Queue::<()>::new().unwrap(), Queue::new().unwrap());
    let client = child("has a connection", || {
        value.get().unwrap();
        started.put(&()).unwrap();
        start.get().unwrap();
        assert!(value.get().is_err_and(is_gone));
    });
    let stranger = child("has none", || {
        start.get().unwrap();
        assert!(value.set(&1).is_err_and(is_gone));
    });
    started.get().unwrap();
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(manager.pid().cast_signed()),
        nix::sys::signal::Signal::SIGKILL,
    )
    .unwrap();
    until_gone(manager.pid());
    start.put(&()).unwrap();
    start.put(&()).unwrap();
    [waiter, client, stranger].into_iter().for_each(finish);
    assert!(value.get().is_err_and(is_gone));
    assert!(manager.value(1).is_err_and(is_gone));
    assert!(manager.lock().is_err_and(is_gone));
    kill(holder);
}

fn a_dropped_manager_is_gone() {
    let manager = Manager::start().unwrap();
    let pid = manager.pid();
    let value = manager.value(0).unwrap();
    drop(manager);
    assert_eq!(state(pid), None);
    assert!(matches!(value.get(), Err(ManagerError::Gone { .. })));
}

fn the_server_ends_with_its_owner() {
    let server = Value::new(0_u32).unwrap();
    let owner = child("owner", || {
        let manager = Manager::start().unwrap();
        *server.lock().unwrap() = manager.pid();
        sleep_for_ever();
    });
    eventually("the server runs", || *server.lock().unwrap() != 0);
    kill(owner);
    until_gone(*server.lock().unwrap());
}

fn a_client_that_dies_costs_the_server_nothing() {
    let manager = Manager::start().unwrap();
    let value = manager.value(vec![0_u8; 500_000]).unwrap();
    let open = || {
        std::fs::read_dir(format!("/proc/{}/fd", manager.pid()))
            .unwrap()
            .count()
    };
    let (theirs, ours) = (open(), descriptors());
    for delay in 0..50 {
        let client = child("client", || -> () {
            loop {
                value.set(&vec![1; 500_000]).unwrap();
                value.get().unwrap();
            }
        });
        std::thread::sleep(Duration::from_micros(delay * 100)); // to be killed at various places
        kill(client);
    }
    assert_eq!(value.get().unwrap().len(), 500_000);
    eventually("their connections are closed", || open() == theirs);
    assert_eq!(descriptors(), ours);
}

fn two_managers_are_two() {
    let (first, second) = (Manager::start().unwrap(), Manager::start().unwrap());
    let queue = Queue::new().unwrap();
    queue.put(&first.value(1).unwrap()).unwrap();
    queue.put(&second.value(2).unwrap()).unwrap();
    let values: [ValueProxy<i32>; 2] = std::array::from_fn(|_| queue.get().unwrap());
    assert_eq!(values.map(|value| value.get().unwrap()), [1, 2]);
}

fn the_lock_is_for_the_first_who_came() {
    let manager = Manager::start().unwrap();
    let lock = manager.lock().unwrap();
    let holder = holder(&lock);
    let turns = Queue::new().unwrap();
    let wait = |number: u8| {
        let _guard = lock.lock().unwrap();
        turns.put(&number).unwrap();
    };
    let waiters = [1, 2, 3].map(|number| {
        let waiter = child("waiter", || wait(number));
        until_asleep(waiter.pid());
        waiter
    });
    kill(holder);
    waiters.into_iter().for_each(finish);
    assert_eq!([(); 3].map(|()| turns.get().unwrap()), [1, 2, 3]);
}

fn a_value_of_the_wrong_proxy_spoils_no_other() {
    let manager = Manager::start().unwrap();
    let lock = postcard::to_stdvec(&manager.lock().unwrap()).unwrap();
    let wrong: ValueProxy<Vec<u8>> = postcard::from_bytes(&lock).unwrap();
    assert!(matches!(
        wrong.set(&vec![1; 200_000]),
        Err(ManagerError::NoSuchObject)
    ));
    assert_eq!(manager.value(5_u32).unwrap().get().unwrap(), 5);
}

fn a_server_without_descriptors_refuses_a_client_and_serves_the_others() {
    use nix::sys::resource::{Resource, setrlimit};
    finish(child("limited", || {
        setrlimit(Resource::RLIMIT_NOFILE, 60, 60).unwrap();
        let manager = Manager::start().unwrap();
        let value = manager.value(7).unwrap();
        let (refused, leave) = (Value::new(0).unwrap(), Queue::<()>::new().unwrap());
        let seen = Value::new(0).unwrap();
        let client = || {
            match value.get() {
                Ok(number) => assert_eq!(number, 7),
                Err(ManagerError::TooManyClients) => *refused.lock().unwrap() += 1,
                Err(error) => panic!("{error}"),
            }
            *seen.lock().unwrap() += 1;
            assert!(leave.get().is_err());
        };
        // Each of these has fewer children than descriptors.
        let group = || {
            let clients: Vec<_> = (0..20).map(|_| child("client", client)).collect();
            clients.into_iter().for_each(finish);
        };
        let groups = [(); 4].map(|()| child("group", group));
        eventually("all were served or refused", || *seen.lock().unwrap() == 80);
        assert!(
            (1..80).contains(&*refused.lock().unwrap()),
            "{}",
            refused.lock().unwrap()
        );
        assert_eq!(value.get().unwrap(), 7, "a client that it has");
        leave.close();
        groups.into_iter().for_each(finish);
        eventually("the next one is served", || {
            let mut next = child("next", || value.get().map(drop));
            next.join().unwrap().success()
        });
    }));
}

fn an_end_of_ipc_channel_left_over_does_no_harm() {
    finish(child("on its own", || {
        let queue = Queue::<ipc_channel::ipc::IpcSender<u8>>::new().unwrap();
        let (sender, _receiver) = ipc_channel::ipc::channel().unwrap();
        queue.put(&sender).unwrap();
        let manager = Manager::start().unwrap();
        assert_eq!(manager.value(1).unwrap().get().unwrap(), 1);
    }));
}

fn a_guard_may_outlive_its_threads_connection() {
    thread_local! {
        static GUARD: RefCell<Option<LockProxyGuard<'static>>> = const { RefCell::new(None) };
    }
    finish(child("on its own", || {
        let manager = Manager::start().unwrap();
        let lock: &LockProxy = Box::leak(Box::new(manager.lock().unwrap()));
        // Dropped after the connection: what was first used later is dropped first.
        let keep = || GUARD.with_borrow_mut(|guard| *guard = Some(lock.lock().unwrap()));
        std::thread::spawn(keep).join().unwrap();
        drop(lock.lock().unwrap());
    }));
}
