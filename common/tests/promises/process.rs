//! A process: its start, its end, and what it has from its parent.

use std::error::Error;
use std::fmt;
use std::fs::{self, File};
use std::io::{Read, Seek};
use std::os::fd::AsFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitStatus};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use common::{
    Lock, LockError, Pool, Process, ProcessError, Queue, SpawnError, Value, end_on_broken_pipe,
    pipe,
};
use nix::sched::{CloneFlags, unshare};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::signal::{
    SaFlags, SigAction, SigHandler, SigSet, Signal, kill as signal_to, sigaction, signal,
};
use nix::sys::wait::waitpid;
use nix::unistd::{Pid, Uid, dup2_stderr, dup2_stdout, getpid, getppid, setuid};

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
    joining_any_waits_for_the_first_to_end,
    joining_any_tells_each_end_once,
    joining_any_of_several_that_have_ended_is_the_first_of_them,
    joining_any_is_one_system_call_for_all,
    joining_any_with_a_timeout_says_all_still_run,
    joining_any_works_in_the_parent_only,
    joining_any_tells_of_a_lost_status_once,
    joining_any_at_a_broken_pipe_ends_the_program,
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
    a_child_that_has_become_another_program_dies_with_its_parent,
    a_status_is_kept_where_sigchld_is_ignored,
    the_name_is_shown_by_ps,
    a_process_knows_its_own_name,
    a_broken_pipe_is_a_panic_unless_asked_for,
    a_broken_pipe_ends_a_family_in_silence,
    a_worker_at_a_broken_pipe_ends_its_pool_and_the_program,
    stdout_that_takes_no_more_is_an_error,
    an_exit_handler_runs_in_nobody,
    an_error_is_one_write,
    a_dropped_handle_ends_who_ignores_sigterm,
    an_orphan_from_before_its_first_step_ends,
    an_error_that_panics_is_a_panic,
    a_status_that_somebody_else_took_is_an_error,
    a_stranger_with_its_pid_is_not_signalled,
    a_status_is_kept_where_sigchld_is_set_to_lose_it,
    what_is_dropped_for_a_child_may_itself_spawn,
    text_of_c_appears_once,
    a_child_that_has_changed_its_user_can_ask_again_to_end_with_its_parent,
    a_child_in_another_pid_namespace_says_why_it_cannot_be,
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
    assert!(
        printed.ends_with("process \"captured\" panicked\n"),
        "{printed}"
    );
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

fn exits(code: i32) -> Process {
    child(&format!("exits {code}"), move || -> () {
        std::process::exit(code)
    })
}

fn codes(children: &mut [Process]) -> Vec<(usize, Option<i32>)> {
    let next = || Process::join_any(&mut *children).unwrap();
    let ends = std::iter::from_fn(next).take(9);
    ends.map(|(index, status)| (index, status.code())).collect()
}

fn joining_any_waits_for_the_first_to_end() {
    let go = Queue::new().unwrap();
    let mut first = child("first", sleep_for_ever);
    let mut second = child("second", || go.get());
    let waker = child("waker", || {
        until_asleep(getppid().as_raw().cast_unsigned());
        go.put(&())
    });
    let ended = Process::join_any([&mut first, &mut second]).unwrap();
    assert_eq!(
        ended.map(|(at, status)| (at, status.code())),
        Some((1, Some(0)))
    );
    kill(first);
    finish(waker);
}

fn joining_any_tells_each_end_once() {
    let mut children = [exits(1), exits(2), exits(3), exits(4), exits(5)];
    children[0].join().unwrap();
    assert!(children[1].join_timeout(Duration::MAX).unwrap().is_some());
    eventually("it is dead", || !children[2].is_alive().unwrap());
    let mut left = codes(&mut children);
    left.sort_unstable();
    assert_eq!(left, [(3, Some(4)), (4, Some(5))]);
    assert_eq!(codes(&mut children), [], "none is left");
    assert_eq!(codes(&mut []), []);
    let more = Process::join_any_timeout(&mut children, Duration::MAX);
    assert_eq!(more.unwrap(), None, "at once");
    assert_eq!(children[4].join().unwrap().code(), Some(5), "known as ever");
}

fn joining_any_of_several_that_have_ended_is_the_first_of_them() {
    let mut children = [exits(1), exits(2), exits(3)];
    children.iter().map(Process::pid).for_each(until_gone);
    assert_eq!(
        codes(&mut children),
        [(0, Some(1)), (1, Some(2)), (2, Some(3))]
    );
}

fn joining_any_is_one_system_call_for_all() {
    let waits = child("waits", || {
        let mut children = [1, 2, 3].map(|_| child("sleeps", sleep_for_ever));
        Process::join_any(&mut children).map(drop)
    });
    // Its number, then its arguments: where they lie, how many, and for `poll` milliseconds.
    let call = format!("/proc/{}/syscall", waits.pid());
    match fs::read_to_string(&call) {
        Err(error) => eprintln!("not run, as it takes a right: {call}: {error}"),
        // In naps, as all do who wait without a limit: to see whether anybody can go on.
        Ok(_) => eventually("it waits for three", || {
            let call = fs::read_to_string(&call).unwrap();
            let words: Vec<_> = call.split_whitespace().collect();
            match words[..] {
                #[cfg(target_arch = "x86_64")]
                ["7", _, count, limit, ..] => count == "0x3" && limit.len() <= 4,
                [number, _, count, ..] => number == libc::SYS_ppoll.to_string() && count == "0x3",
                _ => false, // it runs
            }
        }),
    }
    kill(waits);
}

fn joining_any_with_a_timeout_says_all_still_run() {
    let mut children = [1, 2].map(|_| child("sleeps", sleep_for_ever));
    let (start, limit) = (Instant::now(), Duration::from_millis(20));
    let none = Process::join_any_timeout(&mut children, limit).unwrap();
    assert_eq!(none, None);
    assert!(start.elapsed() >= limit);
    assert_eq!(
        Process::join_any_timeout(&mut children, Duration::ZERO).unwrap(),
        None
    );
    children[1].kill().unwrap();
    let ended = Process::join_any_timeout(&mut children, Duration::MAX);
    let (index, status) = ended.unwrap().unwrap();
    assert_eq!((index, status.signal()), (1, Some(libc::SIGKILL)));
}

fn joining_any_works_in_the_parent_only() {
    let mut sibling = child("sibling", sleep_for_ever);
    finish(child("other", || {
        let mut own = child("own", || ());
        match Process::join_any([&mut own, &mut sibling]) {
            Err(ProcessError::NotAChild { name }) => assert_eq!(name, "sibling"),
            other => panic!("{other:?}"),
        }
        finish(own);
    }));
    kill(sibling);
}

fn joining_any_tells_of_a_lost_status_once() {
    let mut children = [child("sleeps", sleep_for_ever), exits(2)];
    waitpid(Pid::from_raw(children[1].pid().cast_signed()), None).unwrap();
    match Process::join_any(&mut children) {
        Err(ProcessError::StatusLost { name }) => assert_eq!(name, "exits 2"),
        other => panic!("{other:?}"),
    }
    let more = Process::join_any_timeout(&mut children, Duration::ZERO);
    assert_eq!(more.unwrap(), None, "the other one still runs");
}

fn joining_any_at_a_broken_pipe_ends_the_program() {
    let ended = without_a_reader(|| {
        end_on_broken_pipe();
        let mut children = [
            child("sleeps", sleep_for_ever),
            child("prints", || println!("read by nobody")),
        ];
        let _ = Process::join_any(&mut children);
        unreachable!("a child's end by the signal is this process's end");
    });
    assert_eq!((ended.0.signal(), &*ended.1), (Some(libc::SIGPIPE), ""));
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

fn a_child_that_has_become_another_program_dies_with_its_parent() {
    let pid = Value::new(0_u32).unwrap();
    let parent = child("parent", || {
        let other = child("other", || -> () {
            panic!("{}", Command::new("sleep").arg("1000").exec())
        });
        *pid.lock().unwrap() = other.pid();
        sleep_for_ever();
    });
    eventually("the child runs", || *pid.lock().unwrap() != 0);
    let pid = *pid.lock().unwrap();
    let name = format!("/proc/{pid}/comm");
    eventually("it has become another program", || {
        fs::read_to_string(&name).is_ok_and(|name| name == "sleep\n")
    });
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

fn a_process_knows_its_own_name() {
    assert_eq!(Process::current_name(), "main");
    let (seen, _, _) = output_of(|| {
        print!("{}", Process::current_name());
        let inner = child("inner", || print!(" {}", Process::current_name()));
        finish(inner);
        print!(" {}", Process::current_name());
    });
    assert_eq!(seen, "captured inner captured");
}

/// How a program ends whose output nobody reads, and what it says on standard error.
fn without_a_reader(body: impl FnOnce() + Send) -> (ExitStatus, String) {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut stderr = File::from(memfd_create("stderr", MFdFlags::MFD_CLOEXEC).unwrap());
    let mut program = child("program", || {
        dup2_stdout(writer.as_fd()).unwrap();
        dup2_stderr(stderr.as_fd()).unwrap();
        body();
    });
    let status = program.join().unwrap();
    let mut text = String::new();
    stderr.rewind().unwrap();
    stderr.read_to_string(&mut text).unwrap();
    (status, text)
}

fn a_broken_pipe_is_a_panic_unless_asked_for() {
    let (status, text) = without_a_reader(|| {
        let mut printer = child("printer", || println!("read by nobody"));
        assert_eq!(printer.join().unwrap().code(), Some(101));
    });
    assert!(status.success(), "{status}");
    assert!(text.contains("Broken pipe"), "{text}");
}

/// One holds a lock while it prints, the other waits for the lock: it must not hear of a death.
fn a_broken_pipe_ends_a_family_in_silence() {
    for _ in 0..100 {
        let ended = without_a_reader(|| {
            end_on_broken_pipe();
            let lock = Lock::new().unwrap();
            let print = || -> Result<(), LockError> {
                let _guard = lock.lock()?;
                println!("read by nobody");
                Ok(())
            };
            let mut children = ["one", "two"].map(|name| child(name, print));
            for child in &mut children {
                child.join().unwrap();
            }
            unreachable!("a child's end by the signal is this process's end");
        });
        assert_eq!((ended.0.signal(), &*ended.1), (Some(libc::SIGPIPE), ""));
    }
}

fn a_worker_at_a_broken_pipe_ends_its_pool_and_the_program() {
    let ended = without_a_reader(|| {
        end_on_broken_pipe();
        let pool = Pool::new(2, |number: u32| {
            println!("read by nobody");
            anyhow::Ok(number)
        });
        let _ = pool.unwrap().map(0..4);
        unreachable!("a worker's end by the signal is this process's end");
    });
    assert_eq!((ended.0.signal(), &*ended.1), (Some(libc::SIGPIPE), ""));
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

/// Other code waits for any child, the number is given to another process, and then the handle is
/// used: nobody may be signalled.
fn a_stranger_with_its_pid_is_not_signalled() {
    const LAST_PID: &str = "/proc/sys/kernel/ns_last_pid";
    let mut ours = child("ours", || ());
    let pid = ours.pid();
    waitpid(Pid::from_raw(pid.cast_signed()), None).unwrap();
    let mut stranger = None;
    for _ in 0..1000 {
        if fs::write(LAST_PID, (pid - 1).to_string()).is_err() {
            eprintln!("not run, as it takes root: the choice of the next pid");
            break;
        }
        let mut other = Command::new("sleep").arg("1000").spawn().unwrap();
        if other.id() == pid {
            stranger = Some(other);
            break;
        }
        other.kill().unwrap();
        other.wait().unwrap();
    }
    assert!(matches!(ours.kill(), Err(ProcessError::StatusLost { .. })));
    assert!(matches!(ours.join(), Err(ProcessError::StatusLost { .. })));
    drop(ours);
    if let Some(mut stranger) = stranger {
        assert_eq!(stranger.try_wait().unwrap(), None);
        stranger.kill().unwrap();
        assert_eq!(stranger.wait().unwrap().signal(), Some(libc::SIGKILL));
    }
}

/// A handler that was set with `SA_NOCLDWAIT`: it stays, and the statuses do, too.
fn a_status_is_kept_where_sigchld_is_set_to_lose_it() {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    extern "C" fn count(_: i32) {
        CALLS.fetch_add(1, Relaxed);
    }
    finish(child("parent", || {
        let flags = SaFlags::SA_NOCLDWAIT | SaFlags::SA_RESTART;
        let action = SigAction::new(SigHandler::Handler(count), flags, SigSet::empty());
        // SAFETY: the handler only counts.
        unsafe { sigaction(Signal::SIGCHLD, &action) }.unwrap();
        let mut process = child("seven", || -> () { std::process::exit(7) });
        assert_eq!(process.join().unwrap().code(), Some(7));
        assert!(CALLS.load(Relaxed) > 0);
        let pool = Pool::new(1, |dies: bool| {
            if dies {
                std::process::abort();
            }
            anyhow::Ok(1)
        });
        let pool = pool.unwrap();
        assert!(pool.apply(&true).is_err());
        assert_eq!(pool.apply(&false), Ok(1));
    }));
}

/// What a closure owns is dropped in the parent as well: here, something that spawns, and after
/// it the end of a pipe, which must stay open for the child.
fn what_is_dropped_for_a_child_may_itself_spawn() {
    struct Spawns(u32);
    impl Drop for Spawns {
        fn drop(&mut self) {
            if self.0 == std::process::id() {
                let (ours, theirs) = pipe::<u8, u8>().unwrap();
                let inner = child("inner", move || theirs.send(&1).unwrap());
                assert_eq!(ours.recv().unwrap(), 1);
                finish(inner);
            }
        }
    }
    let (ours, theirs) = pipe::<u8, u8>().unwrap();
    let dropped = &Value::new(0).unwrap();
    let spawns = Spawns(std::process::id());
    let owned = (spawns, theirs); // dropped in this order
    let outer = child("outer", move || {
        let (_spawns, theirs) = owned; // with a name, or it would not be captured
        // An end that it has used before is its own, whatever the parent drops.
        eventually("the parent has dropped its copies", || {
            *dropped.lock().unwrap() == 1
        });
        theirs.send(&2).unwrap();
        assert_eq!(theirs.recv().unwrap(), 3);
    });
    *dropped.lock().unwrap() = 1;
    ours.send(&3).unwrap();
    assert_eq!(ours.recv().unwrap(), 2);
    finish(outer);
}

fn text_of_c_appears_once() {
    let print = |text: &std::ffi::CStr| {
        // SAFETY: a text that ends with a zero, and nothing to format in it.
        unsafe { libc::printf(c"%s".as_ptr(), text.as_ptr()) };
    };
    let (text, _, code) = output_of(|| {
        print(c"before ");
        finish(child("inner", || print(c"inner ")));
        print(c"after");
    });
    assert_eq!((&*text, code), ("before inner after", Some(0)));
}

fn a_child_that_has_changed_its_user_can_ask_again_to_end_with_its_parent() {
    Process::end_with_parent().unwrap(); // without effect in the first process
    if !Uid::effective().is_root() {
        return eprintln!("not run, as it takes root: another user");
    }
    let pid = Value::new(0_u32).unwrap();
    let mut parent = child("parent", || {
        let _child = child("child", || {
            setuid(Uid::from_raw(65_534)).unwrap();
            Process::end_with_parent().unwrap();
            *pid.lock().unwrap() = std::process::id();
            sleep_for_ever();
        });
        sleep_for_ever();
    });
    eventually("the child has asked", || *pid.lock().unwrap() != 0);
    let pid = *pid.lock().unwrap();
    parent.kill().unwrap();
    parent.join().unwrap();
    until_gone(pid);
}

fn a_child_in_another_pid_namespace_says_why_it_cannot_be() {
    if !Uid::effective().is_root() {
        return eprintln!("not run, as it takes root: a pid namespace");
    }
    let (_, text, code) = output_of(|| {
        unshare(CloneFlags::CLONE_NEWPID).unwrap();
        let mut inner = child("inner", || ());
        assert_eq!(inner.join().unwrap().code(), Some(1));
    });
    assert_eq!(code, Some(0), "{text}");
    assert!(
        text.contains("process \"inner\"") && text.contains("pid namespace"),
        "{text}"
    );
}
