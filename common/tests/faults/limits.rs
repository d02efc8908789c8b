//! A system that refuses: out of descriptors, processes, memory; a fork beside threads.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::process::ExitStatusExt;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};

use common::{
    Array, Manager, ManagerError, PipeError, Pool, PoolError, Process, Queue, SpawnError, Value,
    pipe,
};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Uid, fork, setuid};
use rayon::prelude::*;

use crate::harness::{child, finish, kill, sleep_for_ever};

trials![
    a_process_without_processes,
    a_pool_without_processes,
    a_manager_without_descriptors,
    a_process_without_descriptors,
    a_lock_without_descriptors,
    a_pipe_without_descriptors,
    sharing_without_memory,
    a_fork_beside_threads,
];

/// Lowers a soft limit, runs `refused`, and raises it again.
fn limited(resource: Resource, limit: u64, refused: impl FnOnce()) {
    let (soft, hard) = getrlimit(resource).unwrap();
    setrlimit(resource, limit, hard).unwrap();
    refused();
    setrlimit(resource, soft, hard).unwrap();
}

/// In a child of a user to whom the limit of processes applies, which it does not to root. For
/// root's tests that is a user without any other process, as the limit counts them all.
fn without_processes(refused: impl Fn() + Sync, works: impl Fn() + Sync) {
    finish(child("limited", || {
        if Uid::effective().is_root() {
            setuid(Uid::from_raw(20_000 + std::process::id() % 40_000)).unwrap();
            // The kernel forgets the wish to end with the parent when the user changes.
            nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL).unwrap();
        }
        limited(Resource::RLIMIT_NPROC, 0, &refused);
        works();
    }));
}

fn a_process_without_processes() {
    without_processes(
        || {
            let Err(SpawnError::System(error)) = Process::spawn("refused", || ()) else {
                panic!("no error of the system's")
            };
            assert_eq!(error.raw_os_error(), Some(libc::EAGAIN));
        },
        || finish(child("works again", || ())),
    );
}

fn a_pool_without_processes() {
    let task = |number: u32| anyhow::Ok(number);
    without_processes(
        move || {
            let start = Instant::now();
            let Err(error) = Pool::new(3, task) else {
                panic!("started")
            };
            assert!(
                matches!(error, PoolError::Start(SpawnError::System(_))),
                "{error}"
            );
            assert!(start.elapsed() < Duration::from_secs(5));
        },
        move || assert_eq!(Pool::new(3, task).unwrap().apply(&1).unwrap(), 1),
    );
    if !Uid::effective().is_root() {
        return; // for the rest it must be known what other processes the user has: none
    }
    without_processes(
        || (),
        move || {
            let this_and_a_supervisor = 2;
            limited(Resource::RLIMIT_NPROC, this_and_a_supervisor, || {
                let Err(error) = Pool::new(3, task) else {
                    panic!("started")
                };
                let PoolError::Workers(reason) = error else {
                    panic!("{error}")
                };
                assert!(reason.contains("os error 11"), "{reason}");
            });
            assert_eq!(Pool::new(3, task).unwrap().apply(&1).unwrap(), 1);
        },
    );
}

/// A limit that allows `spare` more descriptors.
fn descriptor_limit(spare: u64) -> u64 {
    let lowest_free = File::open("/dev/null").unwrap().as_raw_fd();
    lowest_free as u64 + spare
}

fn a_manager_without_descriptors() {
    finish(child("limited", || {
        let mut refused = 0;
        for spare in 0..8 {
            limited(
                Resource::RLIMIT_NOFILE,
                descriptor_limit(spare),
                || match Manager::start() {
                    Err(ManagerError::System(_) | ManagerError::Start(_)) => refused += 1,
                    Err(error) => panic!("{error}"),
                    Ok(manager) => match manager.value(1) {
                        Ok(_) | Err(ManagerError::System(_)) => {}
                        Err(error) => panic!("{error}"),
                    },
                },
            );
        }
        assert_eq!(refused, 3, "it takes three descriptors, no less");
        let manager = Manager::start().unwrap();
        let value = manager.value(1).unwrap();
        finish(child("client", || {
            // A process of its own, so without a connection yet.
            limited(Resource::RLIMIT_NOFILE, descriptor_limit(0), || {
                let error = value.get().unwrap_err();
                assert!(matches!(error, ManagerError::System(_)), "{error}");
            });
            assert_eq!(value.get().unwrap(), 1);
        }));
        assert_eq!(value.get().unwrap(), 1);
    }));
}

/// Nothing was started, not even for a moment, and who was started before can be waited for.
fn a_process_without_descriptors() {
    static FORKS: AtomicU32 = AtomicU32::new(0);
    extern "C" fn count() {
        FORKS.fetch_add(1, Relaxed);
    }
    finish(child("limited", || {
        // SAFETY: the handler only counts.
        let registered = unsafe { libc::pthread_atfork(Some(count), None, None) };
        assert_eq!(registered, 0);
        let begun = Value::new(0_u32).unwrap();
        let mut process = child("child", sleep_for_ever);
        limited(Resource::RLIMIT_NOFILE, descriptor_limit(0), || {
            let refused = Process::spawn("refused", || *begun.lock().unwrap() += 1);
            assert!(matches!(refused, Err(SpawnError::System(_))));
            assert_eq!(FORKS.load(Relaxed), 1, "that of the child before");
            let running = process.join_timeout(Duration::from_millis(1)).unwrap();
            assert_eq!(running, None);
            process.kill().unwrap();
            assert_eq!(process.join().unwrap().signal(), Some(libc::SIGKILL));
        });
        finish(child("works again", || *begun.lock().unwrap() += 1));
        assert_eq!(*begun.lock().unwrap(), 1);
    }));
}

/// When its owner started is not known then, but is at the fork: what it protects is still the
/// child's own.
fn a_lock_without_descriptors() {
    let value = Value::new(0).unwrap();
    finish(child("limited", || {
        let mut guard = None;
        limited(Resource::RLIMIT_NOFILE, descriptor_limit(0), || {
            guard = Some(value.lock().unwrap());
        });
        let mut guard = guard.unwrap();
        // SAFETY: this is the only thread; the child writes and ends.
        match unsafe { fork() }.unwrap() {
            ForkResult::Child => {
                *guard = 1;
                // SAFETY: does not return, and nothing of this process is needed any more.
                unsafe { libc::_exit(0) }
            }
            ForkResult::Parent { child } => drop(waitpid(child, None).unwrap()),
        }
        assert_eq!(*guard, 0);
    }));
}

/// A death and an end are seen that came when no descriptor was free.
fn a_pipe_without_descriptors() {
    finish(child("limited", || {
        let (ours, theirs) = pipe::<u8, u8>().unwrap();
        limited(Resource::RLIMIT_NOFILE, descriptor_limit(1), || {
            kill(child("peer", move || {
                let _theirs = theirs; // never used, so only its parent can say who has it
                sleep_for_ever();
            }));
        });
        assert!(matches!(ours.recv(), Err(PipeError::Died { .. })));

        let (ours, theirs) = pipe::<u8, u8>().unwrap();
        let mut peer = child("peer", move || {
            let none = descriptor_limit(0);
            limited(Resource::RLIMIT_NOFILE, none, || drop(theirs));
            sleep_for_ever();
        });
        assert!(matches!(ours.recv(), Err(PipeError::Closed)));
        peer.kill().unwrap();
    }));
}

fn sharing_without_memory() {
    finish(child("limited", || {
        let large = vec![0_u64; 8 << 20];
        limited(Resource::RLIMIT_AS, 1 << 20, || {
            let error = Array::new(&large).err().unwrap();
            assert_eq!(error.kind(), std::io::ErrorKind::OutOfMemory);
            assert!(Queue::<u8>::with_capacity(64 << 20).is_err());
        });
        assert_eq!(Array::new(&large).unwrap().len(), large.len());
        Queue::<u8>::with_capacity(64 << 20)
            .unwrap()
            .put(&1)
            .unwrap();
    }));
}

fn a_fork_beside_threads() {
    // In a process of its own: rayon's threads never end.
    finish(child("threaded", || {
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Relaxed) {
                    print!("");
                    std::hint::black_box(vec![0_u8; 1_000]);
                }
            });
            scope.spawn(|| {
                while !stop.load(Relaxed) {
                    (0..100_u64).into_par_iter().sum::<u64>();
                }
            });
            for _ in 0..5 {
                assert!(matches!(
                    Process::spawn("refused", || ()),
                    Err(SpawnError::Threads(_))
                ));
                assert!(matches!(Manager::start(), Err(ManagerError::Start(_))));
                let pool = Pool::new(2, |()| anyhow::Ok(()));
                assert!(matches!(
                    pool,
                    Err(PoolError::Start(SpawnError::Threads(_)))
                ));
            }
            stop.store(true, Relaxed);
        });
    }));
}
