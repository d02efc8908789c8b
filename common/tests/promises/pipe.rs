//! A pipe: messages both ways, and how its ends end.

use std::time::{Duration, Instant};

use common::{Lock, PipeError, Process, SpawnError, Value, pipe, pipe_with_capacity};
use nix::unistd::{Uid, chroot};

use crate::harness::{child, eventually, finish, kill, sleep_for_ever, until_asleep, until_gone};

trials![
    two_processes_talk,
    each_direction_has_its_type,
    dropping_an_end_lets_the_other_drain_and_end,
    a_process_that_ends_has_closed_its_end,
    a_killed_process_is_noticed_by_who_receives,
    a_killed_process_is_noticed_by_who_sends,
    a_process_killed_before_its_first_word_is_noticed,
    a_siblings_copy_keeps_nothing_open,
    an_end_that_was_used_can_be_moved_on,
    an_end_in_use_elsewhere_is_refused,
    waiting_ends_in_time,
    poll_tells_an_item_or_the_end,
    too_large_an_item_is_an_error,
    a_peer_that_ended_but_was_not_joined_is_noticed,
    a_slow_sender_notices_too,
    an_end_can_be_handed_on_at_once,
    a_peer_lives_that_cannot_be_looked_at,
    a_peer_lives_whose_entry_in_proc_cannot_be_seen,
    a_peer_with_any_name_can_send_and_is_noticed,
    an_end_can_be_handed_on_however_long_its_owner_takes,
    an_end_that_a_refused_spawn_owned_is_closed,
    a_pipe_has_the_capacity_that_is_asked_for,
];

const SHORT: Duration = Duration::from_millis(20);

fn two_processes_talk() {
    let (ours, theirs) = pipe::<u32, String>().unwrap();
    let speller = child("speller", move || {
        while let Ok(number) = theirs.recv() {
            theirs.send(&number.to_string()).unwrap();
        }
    });
    for number in 0..1_000 {
        ours.send(&number).unwrap();
        assert_eq!(ours.recv().unwrap(), number.to_string());
    }
    drop(ours);
    finish(speller);
}

fn each_direction_has_its_type() {
    let (left, right) = pipe::<u8, Vec<bool>>().unwrap();
    left.send(&1).unwrap();
    right.send(&vec![true]).unwrap();
    assert_eq!(
        (right.recv().unwrap(), left.recv().unwrap()),
        (1, vec![true])
    );
}

fn dropping_an_end_lets_the_other_drain_and_end() {
    let (left, right) = pipe::<u8, u8>().unwrap();
    left.send(&1).unwrap();
    drop(left);
    assert_eq!(right.recv().unwrap(), 1);
    assert!(matches!(right.recv(), Err(PipeError::Closed)));
    assert!(matches!(right.send(&2), Err(PipeError::Closed)));
}

fn a_process_that_ends_has_closed_its_end() {
    let (ours, theirs) = pipe::<u8, u8>().unwrap();
    let other = child("other", move || theirs.send(&1));
    assert_eq!(ours.recv().unwrap(), 1);
    assert!(matches!(ours.recv(), Err(PipeError::Closed)));
    finish(other);
}

fn a_killed_process_is_noticed_by_who_receives() {
    let (ours, theirs) = pipe::<u8, u8>().unwrap();
    let other = child("other", move || {
        theirs.send(&1).unwrap();
        sleep_for_ever();
    });
    let pid = other.pid();
    eventually("it has spoken", || ours.poll(Duration::ZERO).unwrap());
    kill(other);
    assert_eq!(ours.recv().unwrap(), 1, "its last words");
    assert!(matches!(ours.recv(), Err(PipeError::Died { pid: dead }) if dead == pid));
}

fn a_killed_process_is_noticed_by_who_sends() {
    let (ours, theirs) = pipe::<Vec<u8>, u8>().unwrap();
    let other = child("other", move || {
        theirs.recv().unwrap();
        sleep_for_ever();
    });
    let sender = child("sender", move || {
        let end = (0..).find_map(|_| ours.send(&vec![0; 9_999]).err());
        assert!(matches!(end, Some(PipeError::Died { .. })), "{end:?}");
    });
    until_asleep(sender.pid());
    kill(other);
    finish(sender);
}

fn a_process_killed_before_its_first_word_is_noticed() {
    let (ours, theirs) = pipe::<u8, u8>().unwrap();
    let silent = child("silent", move || {
        sleep_for_ever();
        drop(theirs);
    });
    kill(silent);
    assert!(matches!(ours.recv(), Err(PipeError::Died { .. })));
}

fn a_siblings_copy_keeps_nothing_open() {
    let (left, right) = pipe::<u8, u8>().unwrap();
    let ended = Value::new(0_u8).unwrap();
    // Each has a copy of the other's end, from the fork.
    let first = child("first", || {
        let right = right;
        assert!(matches!(right.recv(), Err(PipeError::Died { .. })));
        *ended.lock().unwrap() = 1;
    });
    let second = child("second", move || {
        sleep_for_ever();
        drop(left);
    });
    until_asleep(first.pid());
    kill(second);
    finish(first);
    assert_eq!(*ended.lock().unwrap(), 1);
}

fn an_end_that_was_used_can_be_moved_on() {
    for _ in 0..100 {
        let (left, right) = pipe::<u8, u8>().unwrap();
        left.send(&1).unwrap();
        left.send(&2).unwrap();
        assert_eq!(right.recv().unwrap(), 1);
        let other = child("other", move || assert_eq!(right.recv().unwrap(), 2));
        assert!(matches!(left.recv(), Err(PipeError::Closed)));
        finish(other);
    }
}

fn an_end_in_use_elsewhere_is_refused() {
    // The mutex makes an end one that two processes can have: each has a copy of the mutex.
    let (left, right) = pipe::<u8, u8>().unwrap();
    let right = std::sync::Mutex::new(right);
    finish(child("first", || right.lock().unwrap().send(&1)));
    let error = right.lock().unwrap().send(&2).unwrap_err();
    assert!(matches!(error, PipeError::InUse { .. }), "{error}");
    assert!(
        error.to_string().contains("move each end into one process"),
        "{error}"
    );
    assert_eq!(left.recv().unwrap(), 1);
    assert!(matches!(left.recv(), Err(PipeError::Died { .. })));
}

fn waiting_ends_in_time() {
    let (left, right) = pipe::<Vec<u8>, u8>().unwrap();
    let start = Instant::now();
    assert!(matches!(left.recv_timeout(SHORT), Err(PipeError::TimedOut)));
    assert!(start.elapsed() >= SHORT);
    let item = vec![0; 9_999];
    let end = (0..200).find_map(|_| left.send_timeout(&item, SHORT).err());
    assert!(matches!(end, Some(PipeError::TimedOut)), "{end:?}");
    drop(right);
}

fn poll_tells_an_item_or_the_end() {
    let (left, right) = pipe::<u8, u8>().unwrap();
    assert!(!right.poll(SHORT).unwrap());
    left.send(&1).unwrap();
    assert!(right.poll(Duration::MAX).unwrap());
    right.recv().unwrap();
    drop(left);
    assert!(right.poll(Duration::MAX).unwrap());
}

fn too_large_an_item_is_an_error() {
    let (left, right) = pipe::<Vec<u8>, u8>().unwrap();
    let error = left.send(&vec![0; 2 << 20]).unwrap_err();
    assert!(matches!(error, PipeError::TooLarge { .. }));
    left.send(&vec![1]).unwrap();
    assert_eq!(right.recv().unwrap(), [1]);
}

fn a_peer_that_ended_but_was_not_joined_is_noticed() {
    let (ours, theirs) = pipe::<u8, u8>().unwrap();
    let mut other = child(") R 1 (", move || {
        theirs.send(&1).unwrap(); // a name that looks like the fields behind it in /proc
        sleep_for_ever();
    });
    assert_eq!(ours.recv().unwrap(), 1);
    other.kill().unwrap();
    until_gone(other.pid());
    assert!(ours.poll(Duration::MAX).unwrap());
    assert!(matches!(ours.recv(), Err(PipeError::Died { .. })));
    other.join().unwrap();
}

fn a_slow_sender_notices_too() {
    let (ours, theirs) = pipe::<u8, u8>().unwrap();
    kill(child("other", move || {
        sleep_for_ever();
        drop(theirs);
    }));
    eventually("it is noticed", || ours.send(&1).is_err());
}

fn an_end_can_be_handed_on_at_once() {
    for _ in 0..100 {
        let (left, right) = pipe::<u8, u8>().unwrap();
        left.send(&1).unwrap();
        assert_eq!(right.recv().unwrap(), 1);
        let through = child("through", move || {
            finish(child("to", move || right.send(&2)));
        });
        assert_eq!(left.recv().unwrap(), 2);
        finish(through);
    }
}

fn a_peer_lives_that_cannot_be_looked_at() {
    use nix::sys::resource::{Resource, setrlimit};
    let (left, right) = pipe::<u8, u8>().unwrap();
    let other = child("other", move || {
        right.send(&1).unwrap();
        sleep_for_ever();
    });
    finish(child("without descriptors", move || {
        assert_eq!(left.recv().unwrap(), 1);
        setrlimit(Resource::RLIMIT_NOFILE, 0, 0).unwrap();
        let error = left.recv_timeout(Duration::from_millis(300)).unwrap_err();
        assert!(matches!(error, PipeError::TimedOut), "{error}");
    }));
    kill(other);
}

/// Without `/proc`, in a `chroot`, nobody is seen there.
fn a_peer_lives_whose_entry_in_proc_cannot_be_seen() {
    if !Uid::effective().is_root() {
        return eprintln!("not run, as it takes root: a chroot");
    }
    let (ours, theirs) = pipe::<u8, u8>().unwrap();
    let looker = child("looker", move || {
        theirs.send(&1).unwrap();
        chroot("/sys/kernel").unwrap();
        let limit = Duration::from_millis(300); // it looks ten times a second
        assert!(matches!(
            theirs.recv_timeout(limit),
            Err(PipeError::TimedOut)
        ));
        theirs.send(&2).unwrap();
        assert!(matches!(theirs.recv(), Err(PipeError::Died { .. })));
    });
    let mut speaker = child("speaker", move || -> () {
        assert_eq!((ours.recv().unwrap(), ours.recv().unwrap()), (1, 2));
        std::process::abort();
    });
    assert!(!speaker.join().unwrap().success());
    finish(looker);
}

/// The system cuts a name after 15 bytes, here within a letter.
fn a_peer_with_any_name_can_send_and_is_noticed() {
    let (ours, theirs) = pipe::<u8, u8>().unwrap();
    let other = child("Zähler für Wörter", move || {
        theirs.send(&1).unwrap();
        sleep_for_ever();
    });
    assert_eq!(ours.recv().unwrap(), 1);
    kill(other);
    assert!(matches!(ours.recv(), Err(PipeError::Died { .. })));
}

/// The process between the two has not handed the end over yet when the grandchild uses it.
fn an_end_can_be_handed_on_however_long_its_owner_takes() {
    struct Slow<'a>(u32, &'a Value<u32>);
    impl Drop for Slow<'_> {
        fn drop(&mut self) {
            if self.0 == std::process::id() {
                eventually("the grandchild has used the end", || {
                    *self.1.lock().unwrap() == 1
                });
            }
        }
    }
    let used = Value::new(0_u32).unwrap();
    let (left, right) = pipe::<u8, u8>().unwrap();
    right.send(&0).unwrap(); // this process uses both ends at first
    assert_eq!(left.recv().unwrap(), 0);
    let slow = Slow(std::process::id(), &used);
    let used = &used;
    let between = child("between", move || {
        let (_not_here, right) = (slow, right);
        let slow = Slow(std::process::id(), used);
        finish(child("grandchild", move || {
            let (_not_here, right) = (slow, right);
            right.send(&2).unwrap();
            *used.lock().unwrap() = 1;
        }));
    });
    assert_eq!(left.recv().unwrap(), 2);
    finish(between);
}

fn an_end_that_a_refused_spawn_owned_is_closed() {
    let (ours, theirs) = pipe::<u8, u8>().unwrap();
    let lock = Lock::new().unwrap();
    let _guard = lock.lock().unwrap();
    let refused = Process::spawn("refused", move || theirs.send(&1));
    assert!(matches!(refused, Err(SpawnError::LocksHeld(1))));
    assert!(matches!(ours.recv(), Err(PipeError::Closed)));
}

fn a_pipe_has_the_capacity_that_is_asked_for() {
    let (ours, theirs) = pipe::<u8, Vec<u8>>().unwrap();
    let error = theirs.send(&vec![0; 16 << 20]).unwrap_err().to_string();
    assert!(error.contains("pipe_with_capacity"), "{error}");
    drop((ours, theirs));
    let (ours, theirs) = pipe_with_capacity::<u8, Vec<u8>>((16 << 20) + 8).unwrap();
    let sender = child("sender", move || theirs.send(&vec![7; 16 << 20]));
    assert!(ours.recv().unwrap() == vec![7; 16 << 20]);
    finish(sender);
}
