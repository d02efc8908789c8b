//! A call with a timeout comes back in time, whatever becomes of those it waits for.

use std::time::{Duration, Instant};

use common::{Connection, Lock, Pool, Process, Queue, Value, pipe};
use nix::sys::signal::{Signal, kill as signal};
use nix::unistd::Pid;

use crate::harness::{child, eventually, kill, sleep_for_ever, state};

trials![
    of_a_lock_whose_owner_is_stopped,
    of_queues,
    of_a_pipe_whose_peer_is_stopped,
    of_a_process_that_is_stopped,
    of_a_task_whose_worker_is_killed_again_and_again,
];

/// No call with a timeout is later than this on an idle machine.
const LATE: Duration = Duration::from_millis(200);

/// Calls with various limits. A busy machine may make one call late, but not every one of five.
#[track_caller]
fn holds(mut call: impl FnMut(Duration)) {
    for limit in [0, 1, 30, 130].map(Duration::from_millis) {
        let late = (0..5).find_map(|_| {
            let start = Instant::now();
            call(limit);
            let late = start
                .elapsed()
                .checked_sub(limit)
                .expect("not before its limit");
            (late < LATE).then_some(late)
        });
        assert!(
            late.is_some(),
            "five times later than {LATE:?} with a limit of {limit:?}"
        );
    }
}

fn stop(process: &Process) {
    signal(Pid::from_raw(process.pid().cast_signed()), Signal::SIGSTOP).unwrap();
    eventually("it is stopped", || state(process.pid()) == Some('T'));
}

fn of_a_lock_whose_owner_is_stopped() {
    let (lock, value) = (Lock::new().unwrap(), Value::new(0_u8).unwrap());
    let owner = child("owner", || {
        let _guard = lock.lock().unwrap();
        *value.lock().unwrap() = 1;
        sleep_for_ever();
    });
    eventually("it is held", || *value.lock().unwrap() == 1);
    stop(&owner);
    holds(|limit| drop(lock.lock_timeout(limit).unwrap_err()));
    kill(owner);
}

/// Others put and get at full speed and are stopped, perhaps while they have a side's lock.
fn of_queues() {
    for _ in 0..10 {
        let busy = Queue::with_capacity(60).unwrap();
        let putter = child("putter", || (0..).try_for_each(|item: u32| busy.put(&item)));
        let getter = child("getter", || assert!(busy.iter().all(|item| item.is_ok())));
        for process in [&putter, &getter] {
            std::thread::sleep(Duration::from_micros(500)); // somewhere in its work
            stop(process);
        }
        while busy.try_get().is_ok() {}
        holds(|limit| drop(busy.get_timeout(limit).unwrap_err()));
        while busy.try_put(&0).is_ok() {}
        holds(|limit| drop(busy.put_timeout(&0, limit).unwrap_err()));
        kill(putter);
        kill(getter);
    }
}

fn of_a_pipe_whose_peer_is_stopped() {
    let (ours, theirs): (Connection<Vec<u8>, u8>, _) = pipe().unwrap();
    let peer = child("peer", move || {
        sleep_for_ever();
        drop(theirs);
    });
    stop(&peer);
    holds(|limit| drop(ours.recv_timeout(limit).unwrap_err()));
    holds(|limit| assert!(!ours.poll(limit).unwrap()));
    while ours.send_timeout(&vec![0; 9_999], Duration::ZERO).is_ok() {}
    holds(|limit| drop(ours.send_timeout(&vec![0; 9_999], limit).unwrap_err()));
    kill(peer);
}

fn of_a_process_that_is_stopped() {
    let mut process = child("stopped", sleep_for_ever);
    stop(&process);
    holds(|limit| assert_eq!(process.join_timeout(limit).unwrap(), None));
    kill(process);
}

fn of_a_task_whose_worker_is_killed_again_and_again() {
    let pool = Pool::new(2, |sleeps: bool| -> anyhow::Result<()> {
        if sleeps {
            sleep_for_ever();
        }
        signal(nix::unistd::getpid(), Signal::SIGKILL)?;
        Ok(())
    })
    .unwrap();
    let mut sleeper = Some(pool.apply_async(&true));
    let _dying: Vec<_> = (0..2_000).map(|_| pool.apply_async(&false)).collect();
    holds(|limit| sleeper = sleeper.take().unwrap().get_timeout(limit).err());
}
