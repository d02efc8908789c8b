//! Ctrl-C, at any moment: every process ends, without a word.

use std::io::{Read, Seek};
use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use common::{Array, Lock, Manager, Pool, Queue, TaskError, Value};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::signal::{SigHandler, Signal, killpg, signal};
use nix::unistd::{Pid, dup2_stderr, getppid, setpgid};

use crate::harness::{child, eventually, finish, sleep_for_ever, until_asleep, until_gone};

trials![
    ctrl_c_ends_all_of_them_without_a_word,
    a_program_that_handles_ctrl_c_keeps_its_manager_and_its_pool,
];

/// Everything at once in one process group, all of it waiting for something.
fn ctrl_c_ends_all_of_them_without_a_word() {
    for _ in 0..20 {
        let mut printed = std::fs::File::from(memfd_create("stderr", MFdFlags::empty()).unwrap());
        let pids = Array::new(&[0_u32; 6]).unwrap();
        let note = |place: usize, pid: u32| pids.lock().unwrap()[place] = pid;
        let mut program = child("program", || -> () {
            setpgid(Pid::from_raw(0), Pid::from_raw(0)).unwrap();
            dup2_stderr(printed.as_fd()).unwrap();
            let (queue, lock) = (Queue::<u8>::new().unwrap(), Lock::new().unwrap());
            let manager = Manager::start().unwrap();
            let (their_lock, value) = (manager.lock().unwrap(), manager.value(0).unwrap());
            note(0, manager.pid());
            let _getter = child("getter", || queue.get().map(drop));
            note(1, _getter.pid());
            let _holder = child("holder", || {
                let _guards = (lock.lock().unwrap(), their_lock.lock().unwrap());
                note(2, std::process::id());
                sleep_for_ever();
            });
            eventually("the holder holds", || pids.lock().unwrap()[2] != 0);
            let _waiter = child("waiter", || lock.lock().map(drop));
            note(3, _waiter.pid());
            let pool = Pool::new(2, |waits: bool| -> anyhow::Result<u32> {
                if waits {
                    note(4, std::process::id());
                    let _guard = their_lock.lock()?;
                }
                value.set(&1)?;
                Ok(nix::unistd::getppid().as_raw().cast_unsigned())
            })
            .unwrap();
            note(5, pool.apply(&false).unwrap());
            let _ = pool.apply_async(&true).get();
        });
        eventually("all are there", || !pids.lock().unwrap().contains(&0));
        let pids = *<&[u32; 6]>::try_from(&*pids.lock().unwrap()).unwrap();
        pids.iter().for_each(|&pid| until_asleep(pid));
        killpg(Pid::from_raw(program.pid().cast_signed()), Signal::SIGINT).unwrap();
        assert_eq!(program.join().unwrap().signal(), Some(libc::SIGINT));
        pids.into_iter().for_each(until_gone);
        let mut text = String::new();
        printed.rewind().unwrap();
        printed.read_to_string(&mut text).unwrap();
        assert_eq!(text, "");
    }
}

static HANDLED: AtomicU32 = AtomicU32::new(0);

extern "C" fn handle(_: i32) {
    HANDLED.fetch_add(1, SeqCst);
}

/// The handler comes after both have started, as that of a program must which has a thread for it.
fn a_program_that_handles_ctrl_c_keeps_its_manager_and_its_pool() {
    let theirs = Value::new([0_u32; 2]).unwrap();
    finish(child("program", || {
        let group = Pid::from_raw(0);
        setpgid(group, group).unwrap();
        let busy = Value::new(0_u32).unwrap();
        let manager = Manager::start().unwrap();
        let pool = Pool::new(2, |waits: bool| -> anyhow::Result<(i32, String)> {
            if waits {
                *busy.lock()? = std::process::id();
                sleep_for_ever();
            }
            let status = Command::new("cat").arg("/proc/self/status").output()?;
            Ok((getppid().as_raw(), String::from_utf8(status.stdout)?))
        })
        .unwrap();
        let value = manager.value(0).unwrap();
        let supervisor = pool.apply(&false).unwrap().0;
        *theirs.lock().unwrap() = [manager.pid(), supervisor.cast_unsigned()];
        // SAFETY: the handler only counts.
        unsafe { signal(Signal::SIGINT, SigHandler::Handler(handle)) }.unwrap();
        for round in 1..=20 {
            let waiting = pool.apply_async(&true);
            eventually("a worker is busy", || *busy.lock().unwrap() != 0);
            killpg(Pid::from_raw(0), Signal::SIGINT).unwrap();
            assert_eq!(HANDLED.load(SeqCst), round);
            *busy.lock().unwrap() = 0;
            let error = waiting.get().unwrap_err();
            let TaskError::WorkerDied { status, .. } = error else {
                panic!("{error}")
            };
            assert_eq!(status.signal(), Some(libc::SIGINT));
            value.set(&round).unwrap();
            assert_eq!(value.get().unwrap(), round);
            // An idle worker may still be about to die of it, with the task.
            eventually("the pool works", || pool.apply(&false).is_ok());
        }
        let (parent, status) = pool.apply(&false).unwrap();
        assert_eq!(parent, supervisor, "it is the same");
        let refused = status.lines().filter(|line| {
            let mask = line
                .strip_prefix("SigIgn:")
                .or(line.strip_prefix("SigBlk:"));
            mask.is_some_and(|mask| u64::from_str_radix(mask.trim(), 16).unwrap() & 2 != 0)
        });
        assert_eq!(refused.count(), 0, "a task's program: {status}");
    }));
    let theirs = *theirs.lock().unwrap();
    theirs.into_iter().for_each(until_gone);
}
