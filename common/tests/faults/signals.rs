//! Signals interrupt whatever waits, and nobody notices.

use std::time::{Duration, Instant};

use common::{
    GetError, Lock, LockError, Manager, Outcome, Pool, Process, PutError, Queue, Value, pipe,
};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, kill as signal, sigaction};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;

use crate::harness::{child, eventually, finish, kill, sleep_for_ever};

trials![
    joining,
    joining_any,
    waiting_for_a_lock,
    waiting_for_a_managers_lock,
    getting,
    putting,
    talking_over_a_pipe,
    waiting_for_a_task,
    starting,
];

extern "C" fn nothing(_: libc::c_int) {}

/// Runs `work` in a process that gets a signal every millisecond, with a handler that interrupts
/// system calls. `meanwhile` runs here once `work` has called what it is given.
fn interrupted<R: Outcome>(work: impl FnOnce(&dyn Fn()) -> R + Send, meanwhile: impl FnOnce()) {
    let step = Value::new(0_u8).unwrap();
    let process = child("interrupted", || {
        let handler = SigHandler::Handler(nothing);
        let action = SigAction::new(handler, SaFlags::empty(), SigSet::empty());
        // SAFETY: the handler does nothing.
        unsafe { sigaction(Signal::SIGUSR1, &action) }.unwrap();
        *step.lock().unwrap() = 1;
        work(&|| *step.lock().unwrap() = 2)
    });
    eventually("it has the handler", || *step.lock().unwrap() > 0);
    let pid = Pid::from_raw(process.pid().cast_signed());
    let storm = child("storm", move || -> () {
        loop {
            let _ = signal(pid, Signal::SIGUSR1);
            std::thread::sleep(Duration::from_millis(1));
        }
    });
    eventually("it is ready", || *step.lock().unwrap() == 2);
    meanwhile();
    // Not reaped before the storm is over: its number could be given to a stranger.
    waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT).unwrap();
    kill(storm);
    finish(process);
}

/// Checks that a call with a timeout ends by it, neither early nor by an error.
fn times_out<T>(call: impl FnOnce(Duration) -> T) -> T {
    let (start, limit) = (Instant::now(), Duration::from_millis(30));
    let result = call(limit);
    assert!(start.elapsed() >= limit, "early: {:?}", start.elapsed());
    result
}

fn joining() {
    let go = Queue::<()>::new().unwrap();
    interrupted(
        |ready| {
            let mut child = child("child", || go.get());
            assert_eq!(times_out(|limit| child.join_timeout(limit)).unwrap(), None);
            ready();
            finish(child);
        },
        || go.put(&()).unwrap(),
    );
}

fn joining_any() {
    let go = Queue::<()>::new().unwrap();
    interrupted(
        |ready| {
            let mut children = [child("sleeps", sleep_for_ever), child("child", || go.get())];
            let none = times_out(|limit| Process::join_any_timeout(&mut children, limit));
            assert_eq!(none.unwrap(), None);
            ready();
            let ended = Process::join_any(&mut children).unwrap();
            assert!(ended.is_some_and(|(index, status)| index == 1 && status.success()));
        },
        || go.put(&()).unwrap(),
    );
}

fn waiting_for_a_lock() {
    let (lock, held) = (Lock::new().unwrap(), Value::new(0_u8).unwrap());
    let holder = child("holder", || {
        let _guard = lock.lock().unwrap();
        *held.lock().unwrap() = 1;
        sleep_for_ever();
    });
    eventually("it is held", || *held.lock().unwrap() == 1);
    interrupted(
        |ready| {
            let error = times_out(|limit| lock.lock_timeout(limit).unwrap_err());
            assert!(matches!(error, LockError::TimedOut), "{error}");
            ready();
            let error = lock.lock().unwrap_err();
            assert!(matches!(error, LockError::OwnerDied), "{error}");
        },
        || kill(holder),
    );
}

fn waiting_for_a_managers_lock() {
    let manager = Manager::start().unwrap();
    let (lock, value) = (
        manager.lock().unwrap(),
        manager.value(vec![0_u8; 400_000]).unwrap(),
    );
    let guard = lock.lock().unwrap();
    interrupted(
        |ready| {
            ready();
            drop(lock.lock().unwrap());
            for _ in 0..20 {
                value.set(&value.get().unwrap()).unwrap();
            }
        },
        || {
            std::thread::sleep(Duration::from_millis(20)); // it should wait, but need not
            drop(guard);
        },
    );
}

fn getting() {
    let queue = Queue::new().unwrap();
    interrupted(
        |ready| {
            let error = times_out(|limit| queue.get_timeout(limit).unwrap_err());
            assert!(matches!(error, GetError::Empty), "{error}");
            ready();
            assert_eq!(queue.get().unwrap(), 7);
        },
        || queue.put(&7).unwrap(),
    );
}

fn putting() {
    let queue = Queue::with_capacity(60).unwrap();
    while queue.try_put(&0).is_ok() {}
    interrupted(
        |ready| {
            let error = times_out(|limit| queue.put_timeout(&1, limit).unwrap_err());
            assert!(matches!(error, PutError::Full), "{error}");
            ready();
            queue.put(&1).unwrap();
        },
        || assert_eq!(queue.get().unwrap(), 0),
    );
}

fn talking_over_a_pipe() {
    let (ours, theirs) = pipe::<u8, Vec<u8>>().unwrap();
    interrupted(
        move |ready| {
            assert!(!times_out(|limit| theirs.poll(limit)).unwrap());
            times_out(|limit| theirs.recv_timeout(limit).unwrap_err());
            ready();
            assert_eq!(theirs.recv().unwrap(), 7);
            for _ in 0..200 {
                theirs.send(&vec![0; 9_999]).unwrap(); // more than there is room for
            }
        },
        || {
            ours.send(&7).unwrap();
            (0..200).for_each(|_| drop(ours.recv().unwrap()));
        },
    );
}

fn waiting_for_a_task() {
    let go = Queue::<()>::new().unwrap();
    interrupted(
        |ready| {
            let pool = Pool::new(2, |()| go.get()).unwrap();
            let result = times_out(|limit| pool.apply_async(&()).get_timeout(limit));
            ready();
            result.err().unwrap().get().unwrap();
            pool.join().unwrap();
        },
        || go.put(&()).unwrap(),
    );
}

fn starting() {
    interrupted(
        |ready| {
            ready();
            for _ in 0..20 {
                let pool = Pool::new(2, |number: u32| anyhow::Ok(number)).unwrap();
                assert_eq!(pool.apply(&1).unwrap(), 1);
                drop(pool);
                let manager = Manager::start().unwrap();
                assert_eq!(manager.value(1).unwrap().get().unwrap(), 1);
                finish(child("child", || ()));
            }
        },
        || (),
    );
}
