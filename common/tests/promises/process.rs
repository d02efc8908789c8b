//! A process: its start, its end, and what it has from its parent.

use std::error::Error;
use std::fmt;
use std::fs;
use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use common::{Lock, Process, ProcessError, SpawnError, Value};
use nix::sys::signal::{SigHandler, Signal, kill as signal_to, signal};
use nix::unistd::{dup2_stderr, dup2_stdout, getpid, getppid};

use crate::harness::{
    child, eventually, finish, kill, output_of, sleep_for_ever, state, until_asleep, until_gone,
};

trials![
    a_child_runs_beside_its_parent,
    a_child_inherits_what_its_closure_borrows,
    an_error_is_printed_once_with_its_causes_and_exits_1,
    a_panic_is_printed_once_and_exits_101,
    a_payload_that_panics_when_dropped_is_no_second_panic,
    a_status_tells_the_signal,
    a_real_time_signal_is_a_status_too,
    joining_twice_gives_the_same_status,
    joining_with_a_timeout_says_still_running,
    is_alive_until_it_ends,
    terminate_asks_and_kill_does_not,
    signalling_a_joined_process_signals_nobody,
    a_dropped_handle_leaves_nothing,
    a_handle_works_in_the_parent_only,
    forking_with_threads_is_refused,
    forking_after_the_threads_ended_is_not,
    forking_with_a_lock_held_is_refused,
    text_buffered_before_the_fork_appears_once,
    a_child_dies_with_its_parent,
    a_status_is_kept_where_sigchld_is_ignored,
    the_name_is_shown_by_ps,
    stdout_that_takes_no_more_is_an_error,
    an_exit_handler_runs_in_nobody,
    an_error_is_one_write,
    a_dropped_handle_ends_who_ignores_sigterm,
    an_orphan_from_before_its_first_step_ends,
    an_error_that_panics_is_a_panic,
    a_status_that_somebody_else_took_is_an_error,
];

fn a_child_runs_beside_its_parent() {
    let process = child("other", sleep_for_ever);
    assert_eq!(process.name(), "other");
    assert_ne!(process.pid(), std::process::id());
    assert!(state(process.pid()).is_some());
    kill(process);
}

fn a_child_inherits_what_its_closure_borrows() {
    let text = String::from("inherited");
    let (seen, _, code) = output_of(|| print!("{text}"));
    assert_eq!((seen.as_str(), code), ("inherited", Some(0)));
}

#[derive(Debug)]
struct Outer(std::io::Error);

impl fmt::Display for Outer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the outer one")
    }
}

impl Error for Outer {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

fn an_error_is_printed_once_with_its_causes_and_exits_1() {
    let (_, printed, code) = output_of(|| Err(Outer(std::io::Error::other("the cause"))));
    assert_eq!(
        printed,
        "process \"captured\" failed: the outer one: the cause\n"
    );
    assert_eq!(code, Some(1));
    let (_, printed, _) = output_of(|| Err(anyhow::anyhow!("low").context("high")));
    assert_eq!(printed, "process \"captured\" failed: high: low\n");
}

fn a_panic_is_printed_once_and_exits_101() {
    let (_, printed, code) = output_of(|| -> () { panic!("on purpose") });
    assert_eq!(printed.matches("on purpose").count(), 1, "{printed}");
    assert_eq!(code, Some(101));
}

fn a_payload_that_panics_when_dropped_is_no_second_panic() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("second panic");
        }
    }
    let (_, printed, code) = output_of(|| -> () { std::panic::panic_any(Bomb) });
    assert_eq!(
        (printed.matches("second panic").count(), code),
        (0, Some(101))
    );
}

fn a_status_tells_the_signal() {
    let mut process = child("aborts", || -> () { std::process::abort() });
    let status = process.join().unwrap();
    assert_eq!(
        (status.code(), status.signal()),
        (None, Some(libc::SIGABRT))
    );
    let mut process = child("exits", || -> () { std::process::exit(7) });
    let status = process.join().unwrap();
    assert_eq!((status.code(), status.signal()), (Some(7), None));
}

fn a_real_time_signal_is_a_status_too() {
    let mut process = child("signalled", sleep_for_ever);
    // SAFETY: a system call on numbers; the pid is a child that was not joined.
    unsafe { libc::kill(process.pid().cast_signed(), libc::SIGRTMIN() + 1) };
    assert_eq!(process.join().unwrap().signal(), Some(libc::SIGRTMIN() + 1));
}

fn joining_twice_gives_the_same_status() {
    let mut process = child("exits", || -> () { std::process::exit(3) });
    let first = process.join().unwrap();
    assert_eq!(process.join().unwrap(), first);
    assert_eq!(process.join_timeout(Duration::ZERO).unwrap(), Some(first));
}

fn joining_with_a_timeout_says_still_running() {
    let mut process = child("sleeps", sleep_for_ever);
    let (start, limit) = (Instant::now(), Duration::from_millis(20));
    assert_eq!(process.join_timeout(limit).unwrap(), None);
    assert!(start.elapsed() >= limit);
    process.kill().unwrap();
    let status = process.join_timeout(Duration::MAX).unwrap();
    assert_eq!(
        status.and_then(|status| status.signal()),
        Some(libc::SIGKILL)
    );
}

fn is_alive_until_it_ends() {
    let mut process = child("sleeps", sleep_for_ever);
    assert!(process.is_alive().unwrap());
    process.kill().unwrap();
    eventually("it is dead", || !process.is_alive().unwrap());
    assert_eq!(process.join().unwrap().signal(), Some(libc::SIGKILL));
}

fn terminate_asks_and_kill_does_not() {
    let mut willing = child("willing", sleep_for_ever);
    willing.terminate().unwrap();
    assert_eq!(willing.join().unwrap().signal(), Some(libc::SIGTERM));

    let ready = Value::new(0_u8).unwrap();
    let mut stubborn = child("stubborn", || {
        // SAFETY: ignoring a signal runs no code.
        unsafe { signal(Signal::SIGTERM, SigHandler::SigIgn) }.unwrap();
        *ready.lock().unwrap() = 1;
        sleep_for_ever();
    });
    eventually("it ignores SIGTERM", || *ready.lock().unwrap() == 1);
    stubborn.terminate().unwrap();
    assert_eq!(
        stubborn.join_timeout(Duration::from_millis(20)).unwrap(),
        None
    );
    stubborn.kill().unwrap();
    assert_eq!(stubborn.join().unwrap().signal(), Some(libc::SIGKILL));
}

fn signalling_a_joined_process_signals_nobody() {
    let mut process = child("ends", || ());
    process.join().unwrap();
    assert!(matches!(process.kill(), Err(ProcessError::Ended { name }) if name == "ends"));
    assert!(matches!(
        process.terminate(),
        Err(ProcessError::Ended { .. })
    ));
}

fn a_dropped_handle_leaves_nothing() {
    let process = child("sleeps", sleep_for_ever);
    let pid = process.pid();
    drop(process);
    assert_eq!(state(pid), None, "neither running nor a zombie");
}

fn a_handle_works_in_the_parent_only() {
    let mut process = child("sibling", sleep_for_ever);
    finish(child("other", || {
        assert!(matches!(
            process.join(),
            Err(ProcessError::NotAChild { .. })
        ));
        assert!(matches!(
            process.kill(),
            Err(ProcessError::NotAChild { .. })
        ));
        // SAFETY: a copy in this process; nothing uses it afterwards but this drop, which must
        // not end the sibling.
        drop(unsafe { std::ptr::read(&raw const process) });
    }));
    assert!(process.is_alive().unwrap());
    kill(process);
}

fn forking_with_threads_is_refused() {
    let (stop, stopped) = mpsc::channel::<()>();
    let thread = thread::spawn(move || stopped.recv());
    match Process::spawn("refused", || ()) {
        Err(error @ SpawnError::Threads(2)) => {
            assert!(error.to_string().contains("before the threads"), "{error}");
        }
        other => panic!("{other:?}"),
    }
    drop(stop);
    thread.join().unwrap().unwrap_err();
    finish(child("allowed again", || ()));
}

fn forking_after_the_threads_ended_is_not() {
    for _ in 0..300 {
        thread::spawn(|| ()).join().unwrap();
        finish(child("allowed", || ()));
    }
}

fn forking_with_a_lock_held_is_refused() {
    let lock = Lock::new().unwrap();
    let guard = lock.lock().unwrap();
    assert!(matches!(
        Process::spawn("refused", || ()),
        Err(SpawnError::LocksHeld(1))
    ));
    drop(guard);
    finish(child("allowed", || ()));
}

fn text_buffered_before_the_fork_appears_once() {
    let (printed, _, _) = output_of(|| {
        print!("before, ");
        finish(child("grandchild", || print!("in the child, ")));
        print!("after");
    });
    assert_eq!(printed, "before, in the child, after");
}

fn a_child_dies_with_its_parent() {
    let pid = Value::new(0_u32).unwrap();
    let parent = child("parent", || {
        let grandchild = child("grandchild", sleep_for_ever);
        *pid.lock().unwrap() = grandchild.pid();
        sleep_for_ever();
    });
    eventually("the grandchild runs", || *pid.lock().unwrap() != 0);
    let pid = *pid.lock().unwrap();
    until_asleep(pid);
    kill(parent);
    until_gone(pid);
}

fn a_status_is_kept_where_sigchld_is_ignored() {
    finish(child("parent", || {
        // SAFETY: ignoring a signal runs no code.
        unsafe { signal(Signal::SIGCHLD, SigHandler::SigIgn) }.unwrap();
        let mut process = child("exits", || -> () { std::process::exit(5) });
        assert_eq!(process.join().unwrap().code(), Some(5));
    }));
}

fn the_name_is_shown_by_ps() {
    let (name, _, _) = output_of(|| {
        print!(
            "{}",
            fs::read_to_string(format!("/proc/{}/comm", getpid())).unwrap()
        );
    });
    assert_eq!(name, "captured\n");
}

fn stdout_that_takes_no_more_is_an_error() {
    let (_, printed, code) = output_of(|| -> () {
        let full = std::fs::OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .unwrap();
        let mut child = child("prints", || {
            dup2_stdout(full.as_fd()).unwrap();
            print!("lost");
        });
        assert_eq!(
            child.join().unwrap().code(),
            Some(1),
            "lost output is no success"
        );
        dup2_stdout(full.as_fd()).unwrap();
        print!("lost");
        assert!(matches!(
            Process::spawn("refused", || ()),
            Err(SpawnError::Flush(_))
        ));
        std::process::exit(9)
    });
    assert!(
        printed.contains("\"prints\" failed: standard output: No space left"),
        "{printed}"
    );
    assert_eq!(code, Some(9));
}

fn an_exit_handler_runs_in_nobody() {
    extern "C" fn handler() {
        // SAFETY: writes two bytes.
        unsafe { libc::write(1, c"at exit".as_ptr().cast(), 7) };
    }
    let (printed, _, _) = output_of(|| {
        // SAFETY: registers a function that may run at any time.
        assert_eq!(unsafe { libc::atexit(handler) }, 0);
        finish(child("ends well", || ()));
        child("panics", || -> () {
            std::panic::resume_unwind(Box::new(()))
        })
        .join()
        .unwrap();
    });
    assert_eq!(printed, "");
}

fn an_error_is_one_write() {
    let (ours, theirs) = std::os::unix::net::UnixDatagram::pair().unwrap();
    let mut process = child("fails", || {
        dup2_stderr(theirs.as_fd()).unwrap();
        Err("why")
    });
    process.join().unwrap();
    let mut packet = [0; 99];
    let length = ours.recv(&mut packet).unwrap();
    assert_eq!(&packet[..length], b"process \"fails\" failed: why\n");
}

fn a_dropped_handle_ends_who_ignores_sigterm() {
    let ready = Value::new(0_u8).unwrap();
    let process = child("stubborn", || {
        // SAFETY: ignoring a signal runs no code.
        unsafe { signal(Signal::SIGTERM, SigHandler::SigIgn) }.unwrap();
        *ready.lock().unwrap() = 1;
        sleep_for_ever();
    });
    eventually("it ignores SIGTERM", || *ready.lock().unwrap() == 1);
    let pid = process.pid();
    drop(process);
    assert_eq!(state(pid), None);
}

fn an_orphan_from_before_its_first_step_ends() {
    extern "C" fn orphan_me() {
        let parent = getppid();
        let _ = signal_to(parent, Signal::SIGKILL);
        while getppid() == parent {
            std::thread::yield_now();
        }
    }
    let (ours, theirs) = std::io::pipe().unwrap();
    let mut parent = child("parent", || {
        // SAFETY: the handler makes system calls only.
        let registered = unsafe { libc::pthread_atfork(None, None, Some(orphan_me)) };
        assert_eq!(registered, 0);
        let _orphan = child("orphan", sleep_for_ever);
        sleep_for_ever();
    });
    assert_eq!(parent.join().unwrap().signal(), Some(libc::SIGKILL));
    drop(theirs);
    // The end of the file comes when nobody has the other end: the orphan has ended.
    let mut ends = [nix::poll::PollFd::new(
        ours.as_fd(),
        nix::poll::PollFlags::POLLIN,
    )];
    assert_eq!(
        nix::poll::poll(&mut ends, 10_000_u16).unwrap(),
        1,
        "the orphan lives"
    );
}

/// A panic on the way to the exit must not unwind into the parent's code, of which the child has
/// a copy.
fn an_error_that_panics_is_a_panic() {
    struct Bomb;
    impl fmt::Display for Bomb {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            panic!("no message")
        }
    }
    impl fmt::Debug for Bomb {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            panic!("no message")
        }
    }
    impl Error for Bomb {}
    let me = std::process::id();
    let (_, printed, code) = output_of(|| {
        let parent = std::process::id();
        let escaped = std::panic::catch_unwind(|| child("bomb", || Err(Bomb)).join().unwrap());
        assert!(
            std::process::id() == parent && parent != me,
            "a child escaped"
        );
        assert_eq!(escaped.unwrap().code(), Some(101));
    });
    assert_eq!((printed.matches("no message").count(), code), (1, Some(0)));
}

fn a_status_that_somebody_else_took_is_an_error() {
    finish(child("parent", || {
        let mut process = child("ends", || ());
        nix::sys::wait::wait().unwrap();
        assert!(matches!(
            process.join(),
            Err(ProcessError::StatusLost { .. })
        ));
        assert!(matches!(process.kill(), Err(ProcessError::Ended { .. })));
    }));
}
