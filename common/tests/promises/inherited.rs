//! What a manager's server and a pool's processes have of the program, and that they end with it
//! when it has become another user.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::process::{Command, Stdio};

use common::{Manager, Pool, Process, Value};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::signal::{Signal, raise};
use nix::unistd::{Uid, getppid, setuid};

use crate::harness::{child, eventually, finish, kill, sleep_for_ever, state, until_gone};

trials![
    a_server_keeps_no_file_of_the_program,
    a_server_keeps_no_file_where_the_kernel_has_no_close_range,
    a_worker_that_replaces_another_has_the_files_that_a_task_captured,
    a_user_without_rights_drops_a_pool_and_a_manager,
    a_user_without_rights_is_killed,
];

/// A program that reads to the end ends when its last writer closes, which is not the server.
fn cat_ends_beside_a_manager() {
    let mut cat = Command::new("cat");
    let mut cat = cat.stdin(Stdio::piped()).spawn().unwrap();
    let manager = Manager::start().unwrap();
    let value = manager.value(7).unwrap();
    drop(cat.stdin.take());
    eventually("cat ends", || cat.try_wait().unwrap().is_some());
    assert_eq!(value.get().unwrap(), 7);
}

fn a_server_keeps_no_file_of_the_program() {
    cat_ends_beside_a_manager();
}

fn a_server_keeps_no_file_where_the_kernel_has_no_close_range() {
    finish(child("on an old kernel", || {
        let line = |code: u32, jf, k| libc::sock_filter {
            code: code as u16,
            jt: 0,
            jf,
            k,
        };
        let mut filter = [
            line(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0), // the system call's number
            line(
                libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K,
                1,
                libc::SYS_close_range as u32,
            ),
            line(
                libc::BPF_RET,
                0,
                libc::SECCOMP_RET_ERRNO | libc::ENOSYS.cast_unsigned(),
            ),
            line(libc::BPF_RET, 0, libc::SECCOMP_RET_ALLOW),
        ];
        let program = libc::sock_fprog {
            len: filter.len() as u16,
            filter: filter.as_mut_ptr(),
        };
        // SAFETY: the program lives until the call is done.
        let installed = unsafe {
            libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
                && libc::prctl(libc::PR_SET_SECCOMP, 2, &raw const program) == 0
        };
        assert!(installed);
        cat_ends_beside_a_manager();
    }));
}

fn a_worker_that_replaces_another_has_the_files_that_a_task_captured() {
    let file = memfd_create("file", MFdFlags::MFD_CLOEXEC).unwrap();
    let mut file = File::from(file);
    let pool = Pool::new(1, |dies: bool| {
        if dies {
            raise(Signal::SIGKILL)?;
        }
        (&file).write_all(b"x")?;
        anyhow::Ok(())
    });
    let pool = pool.unwrap();
    for _ in 0..3 {
        pool.apply(&true).unwrap_err();
        pool.apply(&false).unwrap();
    }
    pool.join().unwrap();
    let mut text = String::new();
    file.rewind().unwrap();
    file.read_to_string(&mut text).unwrap();
    assert_eq!(text, "xxx");
}

/// Runs `end` with a pool and a manager of root's in a process that is root no more, and waits
/// until all of theirs are gone: the server, the supervisor, a busy worker and an idle one.
fn without_rights(
    end: impl Fn(Pool<'_, bool, i32>, Manager) + Sync,
    see_the_end: impl FnOnce(Process),
) {
    if !Uid::effective().is_root() {
        println!("skipped: only root can become another user");
        return;
    }
    let pids = Value::new([0_i32; 4]).unwrap();
    let program = child("program", || {
        let pool = Pool::new(2, |waits: bool| {
            pids.lock()?[usize::from(waits)] = std::process::id().cast_signed();
            if waits {
                sleep_for_ever();
            }
            anyhow::Ok(getppid().as_raw())
        });
        let (pool, manager) = (pool.unwrap(), Manager::start().unwrap());
        let running = pool.apply_async(&true);
        eventually("one works", || pids.lock().unwrap()[1] != 0);
        let supervisor = pool.apply(&false).unwrap();
        pids.lock().unwrap()[3] = manager.pid().cast_signed();
        setuid(Uid::from_raw(65_534)).unwrap();
        pids.lock().unwrap()[2] = supervisor;
        end(pool, manager);
        drop(running);
    });
    eventually("all are there", || !pids.lock().unwrap().contains(&0));
    let all = *pids.lock().unwrap();
    see_the_end(program);
    for pid in all {
        until_gone(pid.cast_unsigned());
    }
}

fn a_user_without_rights_drops_a_pool_and_a_manager() {
    // Both are gone when the drops have returned.
    without_rights(
        |pool, manager| {
            let (supervisor, server) = (pool.apply(&false).unwrap(), manager.pid());
            drop((pool, manager));
            for pid in [supervisor.cast_unsigned(), server] {
                assert_eq!(state(pid), None, "not even a zombie");
            }
        },
        finish,
    );
}

fn a_user_without_rights_is_killed() {
    without_rights(|_pool, _manager| sleep_for_ever(), kill);
}
