//! A lock: exclusion, timeouts, and what the death of its owner leaves.

use std::cell::OnceCell;
use std::env;
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::unix::process::CommandExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use common::{Array, Lock, LockError, Process, Queue, SpawnError, Value, pipe};
use nix::sched::{CloneFlags, unshare};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Uid, daemon, fork, getpid, getppid};

use crate::harness::{child, eventually, finish, kill, output_of, sleep_for_ever, until_asleep};

trials![
    one_process_at_a_time,
    taking_it_twice_is_an_error,
    trying_and_waiting_for_a_held_lock_end,
    unwinding_releases,
    a_dead_owner_is_reported_until_recovered,
    an_owner_that_exits_is_a_dead_owner,
    a_waiter_learns_of_the_death,
    recovering_without_a_death_is_locking,
    a_forgotten_guard_does_no_harm,
    a_thread_that_ends_with_a_guard_forgotten_aborts,
    a_lock_dropped_while_a_thread_holds_it_stays_mapped,
    too_many_locks_are_refused,
    a_killed_process_writes_no_more_when_its_lock_is_handed_on,
    an_owner_that_runs_another_program_keeps_the_lock,
    a_thread_that_is_ending_takes_no_lock,
    a_fork_by_other_means_takes_no_guard_along,
    a_fork_by_other_means_shares_what_is_free,
    a_fork_by_other_means_is_another_process,
    a_lock_is_dropped_beside_its_owner_of_another_pid_namespace,
];

fn one_process_at_a_time() {
    let (lock, value) = (Lock::new().unwrap(), Value::new([0_u64; 2]).unwrap());
    let work = || {
        for _ in 0..20_000 {
            let _guard = lock.lock().unwrap();
            // The value's own lock is taken twice, so only `lock` keeps the two together.
            let before = value.lock().unwrap()[0];
            value.lock().unwrap()[0] = before + 1;
        }
    };
    (0..4)
        .map(|_| child("counter", work))
        .collect::<Vec<_>>()
        .into_iter()
        .for_each(finish);
    assert_eq!(value.lock().unwrap()[0], 80_000);
}

fn taking_it_twice_is_an_error() {
    let lock = Lock::new().unwrap();
    let guard = lock.lock().unwrap();
    assert!(matches!(lock.lock(), Err(LockError::AlreadyHeld)));
    assert!(matches!(
        lock.lock_timeout(Duration::from_secs(9)),
        Err(LockError::AlreadyHeld)
    ));
    assert!(matches!(lock.try_lock(), Err(LockError::AlreadyHeld)));
    assert!(matches!(lock.recover(), Err(LockError::AlreadyHeld)));
    drop(guard);
    drop(lock.lock().unwrap());
}

/// Runs `check` while a child holds the lock.
fn while_held(lock: &Lock, check: impl FnOnce()) {
    let held = Value::new(0_u8).unwrap();
    let holder = child("holder", || {
        let _guard = lock.lock().unwrap();
        *held.lock().unwrap() = 1;
        sleep_for_ever();
    });
    eventually("it is held", || *held.lock().unwrap() == 1);
    check();
    kill(holder);
}

fn trying_and_waiting_for_a_held_lock_end() {
    let lock = Lock::new().unwrap();
    while_held(&lock, || {
        assert!(matches!(lock.try_lock(), Err(LockError::TimedOut)));
        let (start, limit) = (Instant::now(), Duration::from_millis(30));
        assert!(matches!(lock.lock_timeout(limit), Err(LockError::TimedOut)));
        assert!(start.elapsed() >= limit);
    });
}

fn unwinding_releases() {
    let lock = Lock::new().unwrap();
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let _guard = lock.lock().unwrap();
        std::panic::resume_unwind(Box::new(()));
    }));
    assert!(panicked.is_err());
    finish(child("next", || drop(lock.try_lock().unwrap())));
}

fn a_dead_owner_is_reported_until_recovered() {
    let lock = Lock::new().unwrap();
    while_held(&lock, || ());
    for _ in 0..3 {
        assert!(matches!(lock.lock(), Err(LockError::OwnerDied)));
    }
    finish(child("other", || {
        assert!(matches!(lock.try_lock(), Err(LockError::OwnerDied)))
    }));
    drop(lock.recover().unwrap());
    drop(lock.lock().unwrap());
    finish(child("other", || drop(lock.lock().unwrap())));
}

fn an_owner_that_exits_is_a_dead_owner() {
    let lock = Lock::new().unwrap();
    finish(child("forgetful", || {
        std::mem::forget(lock.lock().unwrap())
    }));
    assert!(matches!(lock.lock(), Err(LockError::OwnerDied)));
    drop(lock.recover().unwrap());
}

fn a_waiter_learns_of_the_death() {
    let lock = Lock::new().unwrap();
    let mut waiter = None;
    while_held(&lock, || {
        let waiting = child("waiter", || {
            assert!(matches!(lock.lock(), Err(LockError::OwnerDied)))
        });
        until_asleep(waiting.pid());
        waiter = Some(waiting);
    });
    finish(waiter.unwrap());
}

fn recovering_without_a_death_is_locking() {
    let lock = Lock::new().unwrap();
    let guard = lock.recover().unwrap();
    assert!(matches!(lock.lock(), Err(LockError::AlreadyHeld)));
    drop(guard);
    drop(lock.lock().unwrap());
}

fn a_forgotten_guard_does_no_harm() {
    // In a process of its own: while a guard is forgotten, it may not fork.
    finish(child("forgetful", || {
        let kept = Lock::new().unwrap();
        std::mem::forget(kept.lock().unwrap());
        for _ in 0..100 {
            let (first, second) = (Lock::new().unwrap(), Lock::new().unwrap());
            std::mem::forget(first.lock().unwrap());
            let guard = second.lock().unwrap();
            // The thread's list of robust mutexes held must not lead into unmapped memory.
            drop(first);
            drop(guard);
            drop(second.lock().unwrap());
        }
        assert!(matches!(
            Process::spawn("refused", || ()),
            Err(SpawnError::LocksHeld(1))
        ));
        drop(kept);
        finish(child("not refused", || ()));
    }));
}

fn a_thread_that_ends_with_a_guard_forgotten_aborts() {
    // Its reference could still be used by another thread, and the kernel frees the lock.
    let (_, printed, code) = output_of(|| {
        let lock: &'static Lock = Box::leak(Box::new(Lock::new().unwrap()));
        // Not a scope, which ends before its threads quite have.
        let thread = std::thread::spawn(|| std::mem::forget(lock.lock().unwrap()));
        thread.join().unwrap();
    });
    assert_eq!(
        (printed.as_str(), code),
        ("a thread has ended that holds 1 lock(s): aborting\n", None)
    );
}

fn a_lock_dropped_while_a_thread_holds_it_stays_mapped() {
    finish(child("on its own", || {
        let (lock, other) = (Lock::new().unwrap(), Lock::new().unwrap());
        let lock = std::sync::Mutex::new(Some(lock));
        let (held, dropped) = (std::sync::Barrier::new(2), std::sync::Barrier::new(2));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::mem::forget(lock.lock().unwrap().as_ref().unwrap().lock().unwrap());
                held.wait();
                dropped.wait();
                // Walks this thread's list of held mutexes, on which the forgotten one is.
                drop(other.lock().unwrap());
                // SAFETY: ends the process, before this thread's end would abort it.
                unsafe { libc::_exit(0) };
            });
            held.wait();
            drop(lock.lock().unwrap().take());
            dropped.wait();
        });
    }));
}

fn too_many_locks_are_refused() {
    let locks: Vec<Lock> = (0..2_001).map(|_| Lock::new().unwrap()).collect();
    let mut guards: Vec<_> = locks[..2_000]
        .iter()
        .map(|lock| lock.lock().unwrap())
        .collect();
    assert!(matches!(locks[2_000].lock(), Err(LockError::TooMany)));
    guards.pop();
    drop(locks[2_000].lock().unwrap());
}

/// Its first thread holds the lock, and another is in a system call that fills what it protects,
/// which ends later than the first thread does.
fn a_killed_process_writes_no_more_when_its_lock_is_handed_on() {
    const SIZE: usize = 64 << 20;
    let array = Array::new(&vec![0_u8; SIZE]).unwrap();
    let mut file = File::from(memfd_create("ones", MFdFlags::MFD_CLOEXEC).unwrap());
    file.write_all(&vec![1; SIZE]).unwrap();
    // Of each page a byte, the last page first: it is written last.
    let pages = |bytes: &[u8]| Vec::from_iter(bytes.rchunks(4096).map(|page| page[0]));
    for _ in 0..5 {
        file.rewind().unwrap();
        // Here and not in the writer, which then has a page fault for each page that it reads.
        array.recover().unwrap().fill(0);
        let begun = Value::new(0).unwrap();
        let mut writer = child("writer", || {
            let mut guard = array.lock().unwrap();
            let guard = &mut *guard;
            thread::scope(|scope| {
                scope.spawn(|| {
                    *begun.lock().unwrap() = 1;
                    (&file).read_exact(guard).unwrap();
                });
                loop {
                    thread::park();
                }
            });
        });
        eventually("the second thread is about to read", || {
            *begun.lock().unwrap() == 1
        });
        writer.kill().unwrap();
        let seen = loop {
            match array.recover() {
                Ok(guard) => break pages(&guard),
                Err(LockError::OwnerRuns { pid }) => assert_eq!(pid, writer.pid()),
                Err(error) => panic!("{error}"),
            }
        };
        writer.join().unwrap();
        let now = pages(&array.lock().unwrap());
        assert!(now == seen, "written to under a guard");
    }
}

fn an_owner_that_runs_another_program_keeps_the_lock() {
    let lock = Lock::new().unwrap();
    let mut owner = child("owner", || -> () {
        let _guard = lock.lock().unwrap();
        panic!("{}", Command::new("sleep").arg("1000").exec());
    });
    let runs = |taken: Result<_, LockError>| match taken {
        Err(LockError::OwnerRuns { pid }) => pid == owner.pid(),
        _ => false,
    };
    eventually("the owner has lost the lock", || {
        runs(lock.lock().map(drop))
    });
    assert!(runs(lock.try_lock().map(drop)) && runs(lock.recover().map(drop)));
    owner.kill().unwrap();
    owner.join().unwrap();
    assert!(matches!(lock.lock(), Err(LockError::OwnerDied)));
    drop(lock.recover().unwrap());
    drop(lock.lock().unwrap());
}

/// Runs something when the thread ends, after the locks of the thread are not counted any more.
struct AtTheEnd(Box<dyn FnOnce()>);

impl Drop for AtTheEnd {
    fn drop(&mut self) {
        std::mem::replace(&mut self.0, Box::new(|| ()))();
    }
}

fn at_the_end_of_a_thread<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> R {
    thread_local! {
        static LAST: OnceCell<AtTheEnd> = const { OnceCell::new() };
    }
    let (sender, receiver) = mpsc::channel();
    let thread = thread::spawn(move || {
        let work = move || sender.send(work()).unwrap();
        LAST.with(|last| last.set(AtTheEnd(Box::new(work))).ok().unwrap());
        // Destructors run in the opposite order of the first uses.
        drop(Lock::new().unwrap().lock().unwrap());
        Queue::new().unwrap().put(&1).unwrap();
    });
    thread.join().unwrap();
    receiver.recv().unwrap()
}

fn a_thread_that_is_ending_takes_no_lock() {
    let taken = at_the_end_of_a_thread(|| {
        let lock = Lock::new().unwrap();
        let taken = matches!(lock.lock(), Err(LockError::ThreadEnds));
        taken
    });
    assert!(taken);
    // What needs no guard works.
    let item = at_the_end_of_a_thread(|| {
        let queue = Queue::new().unwrap();
        queue.put(&String::from("late")).unwrap();
        queue.get().unwrap()
    });
    assert_eq!(item, "late");
}

/// `daemon` forks, and ends the parent; the daemon still has the guard that the parent had.
fn a_fork_by_other_means_takes_no_guard_along() {
    let array = Array::new(&[0_u32; 4]).unwrap();
    let (free, written) = (Value::new(7).unwrap(), Queue::<(u32, bool)>::new().unwrap());
    let mut parent = child("parent", || {
        let mut guard = array.lock().unwrap();
        let slice = &mut *guard;
        daemon(true, true).unwrap();
        slice[0] = 1;
        let both = (slice[0], *free.lock().unwrap() == 7);
        // While the guard is there, nobody gets another, not even this process.
        assert!(matches!(array.recover(), Err(LockError::OwnerRuns { .. })));
        drop(guard);
        let refused = array.lock();
        assert!(matches!(
            refused,
            Err(LockError::OwnerDied | LockError::OwnerRuns { .. })
        ));
        written.put(&both).unwrap();
    });
    assert!(parent.join().unwrap().success());
    assert_eq!(written.get().unwrap(), (1, true));
    assert!(matches!(array.lock(), Err(LockError::OwnerDied)));
    assert_eq!(*array.recover().unwrap(), [0; 4]);
}

fn end_at_once() -> ! {
    // SAFETY: does not return, and nothing of this process is needed any more.
    unsafe { libc::_exit(0) }
}

fn a_fork_by_other_means_shares_what_is_free() {
    let value = Value::new(1).unwrap();
    // SAFETY: this is the only thread, and the child only uses what is shared, and ends.
    match unsafe { fork() }.unwrap() {
        ForkResult::Child => {
            *value.lock().unwrap() += 1;
            end_at_once()
        }
        ForkResult::Parent { child } => drop(waitpid(child, None).unwrap()),
    }
    assert_eq!(*value.lock().unwrap(), 2);
}

/// Here a program of its own: one that has a lock, and when `daemon` forks has not yet asked which
/// process it is.
fn a_fork_by_other_means_is_another_process() {
    const FRESH: &str = "COMMON_TEST_IN_A_FRESH_PROGRAM";
    if env::var_os(FRESH).is_none() {
        let mut program = Command::new(env::current_exe().unwrap());
        program.args(["--exact", "lock::a_fork_by_other_means_is_another_process"]);
        let output = program.env(FRESH, "yes").output().unwrap(); // of all that have it
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains("heard: Err(TimedOut)\n"), "{output:?}");
        return;
    }
    let _value = Value::new(0).unwrap();
    let (ours, theirs) = pipe::<(), ()>().unwrap();
    let program = getpid();
    daemon(true, true).unwrap();
    ours.send(&()).unwrap();
    eventually("the program has ended", || getppid() != program);
    finish(child("peer", move || {
        theirs.recv().unwrap();
        // Looks several times whether the daemon is alive.
        let heard = theirs.recv_timeout(Duration::from_millis(300));
        println!("heard: {heard:?}");
    }));
    end_at_once()
}

/// Both threads have the number 1, each in its own namespace.
fn a_lock_is_dropped_beside_its_owner_of_another_pid_namespace() {
    if !Uid::effective().is_root() {
        return eprintln!("not run, as it takes root: a pid namespace");
    }
    let value = Value::new(0).unwrap();
    let (held, release) = (Queue::<()>::new().unwrap(), Queue::<()>::new().unwrap());
    let in_a_namespace = |work: &dyn Fn()| {
        unshare(CloneFlags::CLONE_NEWPID).unwrap();
        // SAFETY: this is the only thread; the child works and ends.
        match unsafe { fork() }.unwrap() {
            ForkResult::Child => {
                // However this trial ends.
                set_pdeathsig(Signal::SIGKILL).unwrap();
                assert_eq!(nix::unistd::gettid().as_raw(), 1);
                work();
                end_at_once()
            }
            ForkResult::Parent { child } => drop(waitpid(child, None).unwrap()),
        }
    };
    let owner = child("owner", || {
        in_a_namespace(&|| {
            let _guard = value.lock().unwrap();
            held.put(&()).unwrap();
            release.get().unwrap();
        });
    });
    held.get().unwrap();
    let other = Lock::new().unwrap();
    for holds_another in [false, true] {
        if holds_another {
            // Then only the start tells the two processes apart, in hundredths of a second.
            thread::sleep(Duration::from_millis(20));
        }
        finish(child("dropper", || {
            in_a_namespace(&|| {
                let _guard = holds_another.then(|| other.lock().unwrap());
                // SAFETY: a copy, which this process has for itself.
                drop(unsafe { std::ptr::read(&raw const value) });
            });
        }));
        assert!(
            matches!(value.try_lock(), Err(LockError::TimedOut)),
            "another's lock was freed"
        );
    }
    release.put(&()).unwrap();
    finish(owner);
}
