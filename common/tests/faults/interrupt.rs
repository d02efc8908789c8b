//! Ctrl-C, at any moment: every process ends, without a word.

use std::io::{Read, Seek};
use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt;

use common::{Array, Lock, Manager, Pool, Queue};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::{Pid, dup2_stderr, setpgid};

use crate::harness::{child, eventually, sleep_for_ever, until_asleep, until_gone};

trials![ctrl_c_ends_all_of_them_without_a_word];

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
