//! Processes that belong together: how they end, and which of them is said to have failed.

use std::os::unix::process::ExitStatusExt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;

use anyhow::{Context, Result};
use common::{
    Lock, Outcome, Process, ProcessError, Queue, Scope, ScopeError, SpawnError, Value, scope,
};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::signal::{SigHandler, Signal, raise, signal};
use nix::sys::wait::waitpid;
use nix::unistd::{Pid, Uid, setuid};

use crate::harness::{
    child, eventually, finish, output_of, sleep_for_ever, state, until_asleep, until_gone,
};

trials![
    all_are_joined_at_its_end,
    to_fail_is_not_to_exit_with_zero,
    whatever_the_others_wait_for_they_are_ended,
    three_stages_end_when_the_middle_one_aborts,
    a_join_waits_for_its_process,
    a_join_hears_of_any_failure,
    a_failure_that_a_join_has_told_is_the_scopes,
    an_error_of_the_body_ends_them,
    a_panic_of_the_body_ends_them_and_goes_on,
    a_start_that_is_refused_ends_them,
    a_failure_goes_before_the_error_of_the_body,
    a_signal_goes_before_what_it_made_fail,
    no_process_complains_of_the_end_of_another,
    a_scope_in_a_process_and_a_scope_in_a_scope,
    a_status_that_somebody_else_took_fails_the_scope,
    a_process_that_it_may_not_end_is_not_waited_for,
];

/// Who has failed, and the number of the signal or the exit code.
#[track_caller]
fn failure<T>(ended: Result<T>) -> (String, i32) {
    let error = ended.err().expect("the scope has failed");
    match error.downcast_ref() {
        Some(ScopeError::Failed { name, status }) => {
            let number = status.signal().or(status.code());
            (name.clone(), number.unwrap())
        }
        _ => panic!("{error:?}"),
    }
}

/// Never ends, and has not been joined.
fn sleeper(scope: &Scope) -> u32 {
    scope.spawn("sleeper", sleep_for_ever).unwrap().pid()
}

fn all_are_joined_at_its_end() {
    let done = Value::new(0).unwrap();
    let mut pids = Vec::new();
    let text = "borrowed".to_owned();
    let value = scope(|scope| {
        for name in ["one", "two", "three"] {
            let process = scope.spawn(name, || -> Result<()> {
                *done.lock()? += text.len();
                Ok(())
            })?;
            pids.push(process.pid());
        }
        anyhow::Ok("value")
    });
    assert_eq!(value.unwrap(), "value");
    assert_eq!(*done.lock().unwrap(), 24);
    assert!(pids.into_iter().all(|pid| state(pid).is_none()));
}

fn to_fail_is_not_to_exit_with_zero() {
    fn fails<R: Outcome>(body: impl FnOnce() -> R + Send) -> i32 {
        let mut other = 0;
        let ended = scope(|scope| {
            other = sleeper(scope);
            scope.spawn("fails", body)?;
            Ok(())
        });
        assert_eq!(state(other), None, "the other one was ended and joined");
        let (name, how) = failure(ended);
        assert_eq!(name, "fails");
        how
    }
    let (_, printed, _) = output_of(|| {
        assert_eq!(fails(|| Err("why")), 1);
        assert_eq!(fails(|| -> () { panic!("why") }), 101);
        assert_eq!(fails(|| -> () { std::process::exit(7) }), 7);
        assert_eq!(fails(|| -> () { std::process::abort() }), libc::SIGABRT);
        assert_eq!(fails(|| raise(Signal::SIGKILL)), libc::SIGKILL);
    });
    assert!(
        printed.contains("process \"fails\" failed: why\n"),
        "{printed}"
    );
    scope(|scope| {
        scope.spawn("exits", || -> () { std::process::exit(0) })?;
        anyhow::Ok(())
    })
    .unwrap();
}

fn whatever_the_others_wait_for_they_are_ended() {
    let (lock, empty) = (Lock::new().unwrap(), Queue::<u32>::new().unwrap());
    let full = Queue::with_capacity(100).unwrap();
    while full.try_put(&1).is_ok() {}
    let ready = Value::new(0).unwrap();
    let ended = scope(|scope| -> Result<()> {
        let mut pids = Vec::new();
        pids.push(
            scope
                .spawn("holder", || -> Result<()> {
                    let _guard = lock.lock()?;
                    *ready.lock()? += 1;
                    sleep_for_ever();
                    Ok(())
                })?
                .pid(),
        );
        eventually("it is held", || *ready.lock().unwrap() == 1);
        pids.push(scope.spawn("locks", || lock.lock().map(drop))?.pid());
        pids.push(scope.spawn("gets", || empty.get().map(drop))?.pid());
        pids.push(scope.spawn("puts", || full.put(&1))?.pid());
        let refuses = scope.spawn("refuses", || -> Result<()> {
            // SAFETY: ignoring a signal runs no code.
            unsafe { signal(Signal::SIGTERM, SigHandler::SigIgn) }?;
            *ready.lock()? += 1;
            sleep_for_ever();
            Ok(())
        })?;
        eventually("it refuses", || *ready.lock().unwrap() == 2);
        pids.push(refuses.pid());
        pids.push(
            scope
                .spawn("joins", || child("own", sleep_for_ever).join().map(drop))?
                .pid(),
        );
        pids.into_iter().for_each(until_asleep);
        scope.spawn("aborts", || -> () { std::process::abort() })?;
        Ok(())
    });
    assert_eq!(failure(ended), ("aborts".into(), libc::SIGABRT));
}

fn three_stages_end_when_the_middle_one_aborts() {
    let [raw, changed] = [(), ()].map(|()| Queue::with_capacity(1000).unwrap());
    let ended = scope(|scope| -> Result<()> {
        let read = scope.spawn("read", || (0..10_000).try_for_each(|item| raw.put(&item)))?;
        let change = scope.spawn("change", || -> Result<()> {
            let some = raw.iter().take(100);
            some.into_iter()
                .try_for_each(|item| anyhow::Ok(changed.put(&item?)?))?;
            std::process::abort()
        })?;
        scope.spawn("write", || {
            changed.iter().try_for_each(|item| item.map(|_: u32| ()))
        })?;
        read.join()?;
        raw.close();
        change.join()?;
        changed.close();
        Ok(())
    });
    assert_eq!(failure(ended), ("change".into(), libc::SIGABRT));
}

fn a_join_waits_for_its_process() {
    let go = Queue::<()>::new().unwrap();
    scope(|scope| {
        let waits = scope.spawn("waits", || go.get())?;
        let first = scope.spawn("first", || ())?;
        let second = scope.spawn("second", || ())?;
        until_gone(first.pid());
        until_gone(second.pid());
        second.join()?; // is told of the first one's end, too
        assert_eq!(state(second.pid()), None);
        first.join()?;
        first.join()?;
        go.put(&())?;
        waits.join()?;
        assert_eq!(state(waits.pid()), None);
        anyhow::Ok(())
    })
    .unwrap();
}

fn a_join_hears_of_any_failure() {
    let ended = scope(|scope| -> Result<()> {
        let sleeps = scope.spawn("sleeps", sleep_for_ever)?;
        scope.spawn("aborts", || -> () { std::process::abort() })?;
        sleeps.join()?;
        unreachable!("it never ends by itself")
    });
    assert_eq!(failure(ended), ("aborts".into(), libc::SIGABRT));
}

fn a_failure_that_a_join_has_told_is_the_scopes() {
    let join_one = |scope: &Scope| {
        let sleeps = scope.spawn("sleeps", sleep_for_ever).unwrap();
        let aborts = scope.spawn("aborts", || -> () { std::process::abort() });
        let told = sleeps.join();
        assert_eq!(state(sleeps.pid()), None, "ended at once");
        aborts.unwrap().join().unwrap_err();
        told
    };
    let ended = scope(|scope| {
        join_one(scope).unwrap_err();
        sleeper(scope);
        anyhow::Ok(())
    });
    assert_eq!(failure(ended), ("aborts".into(), libc::SIGABRT));
    let ended = scope(|scope| -> Result<()> { join_one(scope).context("the body's words") });
    assert_eq!(
        format!("{:#}", ended.unwrap_err()).split(" (core").next(),
        Some("the body's words: process \"aborts\" failed: signal: 6 (SIGABRT)")
    );
}

fn an_error_of_the_body_ends_them() {
    let mut pid = 0;
    let ended = scope(|scope| -> Result<()> {
        pid = sleeper(scope);
        scope.spawn("well", || ())?.join()?;
        anyhow::bail!("why")
    });
    assert_eq!(ended.unwrap_err().to_string(), "why");
    assert_eq!(state(pid), None);
}

fn a_panic_of_the_body_ends_them_and_goes_on() {
    let mut pid = 0;
    let (_, printed, _) = output_of(|| {
        let body = |scope: &Scope| -> Result<()> {
            pid = sleeper(scope);
            panic!("why")
        };
        let panic = catch_unwind(AssertUnwindSafe(|| scope(body))).unwrap_err();
        assert_eq!(panic.downcast_ref(), Some(&"why"));
        assert_eq!(state(pid), None);
    });
    assert_eq!(printed.matches("why").count(), 1, "{printed}");
}

fn a_start_that_is_refused_ends_them() {
    let lock = Lock::new().unwrap();
    let mut pid = 0;
    let ended = scope(|scope| -> Result<()> {
        pid = sleeper(scope);
        let _guard = lock.lock()?;
        scope.spawn("refused", || ())?;
        Ok(())
    });
    assert!(ended.unwrap_err().is::<SpawnError>());
    assert_eq!(state(pid), None);
}

/// Takes the lock, and ends in this way with it.
fn dies_with<'a>(lock: &'a Lock, held: &'a Queue<()>) -> impl FnOnce() -> Result<()> + Send + 'a {
    move || {
        let _guard = lock.lock()?;
        held.put(&())?;
        // Pages to be given back: it takes time from its last step to its end.
        let _kept = std::hint::black_box(vec![1_u8; 50 << 20]);
        raise(Signal::SIGKILL)?;
        Ok(())
    }
}

fn a_failure_goes_before_the_error_of_the_body() {
    for _ in 0..20 {
        let (lock, held) = (Lock::new().unwrap(), Queue::new().unwrap());
        let ended = scope(|scope| -> Result<()> {
            scope.spawn("holder", dies_with(&lock, &held))?;
            held.get()?;
            let _guard = lock.lock()?;
            unreachable!("its owner has died")
        });
        assert_eq!(failure(ended), ("holder".into(), libc::SIGKILL));
    }
}

fn a_signal_goes_before_what_it_made_fail() {
    let (_, printed, code) = output_of(|| {
        for _ in 0..20 {
            let (lock, held) = (Lock::new().unwrap(), Queue::new().unwrap());
            let ended = scope(|scope| -> Result<()> {
                scope.spawn("waiter", || -> Result<()> {
                    held.get()?;
                    let _guard = lock.lock()?;
                    Ok(())
                })?;
                scope.spawn("holder", dies_with(&lock, &held))?;
                Ok(())
            });
            assert_eq!(failure(ended), ("holder".into(), libc::SIGKILL));
        }
    });
    assert_eq!(code, Some(0), "{printed}");
}

/// On one core, where the parent does not run while one of them does.
fn no_process_complains_of_the_end_of_another() {
    let (_, printed, code) = output_of(|| {
        let this = Pid::from_raw(0);
        let allowed = sched_getaffinity(this).unwrap();
        let core = (0..CpuSet::count()).find(|&core| allowed.is_set(core) == Ok(true));
        let mut one = CpuSet::new();
        one.set(core.unwrap()).unwrap();
        sched_setaffinity(this, &one).unwrap();
        for panics in [true, false].repeat(25) {
            let (lock, held) = (Lock::new().unwrap(), Queue::<()>::new().unwrap());
            let scoped = |scope: &Scope| -> Result<()> {
                scope.spawn("holder", || -> Result<()> {
                    let _guard = lock.lock()?;
                    held.put(&())?;
                    sleep_for_ever();
                    Ok(())
                })?;
                held.get()?;
                for name in ["one", "two", "three"] {
                    let waiter = scope.spawn(name, || lock.lock().map(drop))?;
                    until_asleep(waiter.pid());
                }
                if panics {
                    resume_unwind(Box::new(()));
                }
                Err(anyhow::anyhow!("why"))
            };
            let ended = catch_unwind(AssertUnwindSafe(|| scope(scoped)));
            assert_eq!(ended.is_err(), panics);
        }
    });
    assert_eq!((&*printed, code), ("", Some(0)));
}

fn a_scope_in_a_process_and_a_scope_in_a_scope() {
    let inner = || {
        scope(|scope| -> Result<()> {
            sleeper(scope);
            scope.spawn("inner", || -> () { std::process::exit(3) })?;
            Ok(())
        })
    };
    let (_, printed, _) = output_of(|| {
        let ended = scope(|scope| -> Result<()> {
            sleeper(scope);
            scope.spawn("outer", inner)?;
            Ok(())
        });
        assert_eq!(failure(ended), ("outer".into(), 1));
    });
    assert_eq!(
        printed,
        "process \"outer\" failed: process \"inner\" failed: exit status: 3\n"
    );
    let mut pid = 0;
    let ended = scope(|scope| {
        pid = sleeper(scope);
        inner()
    });
    assert_eq!(failure(ended), ("inner".into(), 3));
    assert_eq!(state(pid), None);
}

fn a_status_that_somebody_else_took_fails_the_scope() {
    let mut pid = 0;
    let ended = scope(|scope| -> Result<()> {
        pid = sleeper(scope);
        let ends = scope.spawn("ends", || ())?;
        waitpid(Pid::from_raw(ends.pid().cast_signed()), None)?;
        Ok(())
    });
    match ended.unwrap_err().downcast_ref() {
        Some(ScopeError::Process(ProcessError::StatusLost { name })) => assert_eq!(name, "ends"),
        other => panic!("{other:?}"),
    }
    assert_eq!(state(pid), None);
}

fn a_process_that_it_may_not_end_is_not_waited_for() {
    if !Uid::effective().is_root() {
        return eprintln!("not run, as it takes root: another user");
    }
    let [runs, go] = [(), ()].map(|()| Queue::new().unwrap());
    finish(child("parent", || {
        let ended = scope(|scope| -> Result<()> {
            scope.spawn("before", || -> Result<()> {
                runs.put(&())?;
                Ok(go.get_timeout(Duration::from_secs(60))?) // nobody else could end it
            })?;
            runs.get()?;
            setuid(Uid::from_raw(65_534))?;
            Process::end_with_parent()?;
            anyhow::bail!("why")
        });
        assert_eq!(ended.unwrap_err().to_string(), "why");
    }));
    go.put(&()).unwrap();
    eventually("it goes on, and ends", || go.is_empty());
}
