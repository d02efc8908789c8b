//! What other users can reach of it: nothing.

use std::ffi::CString;
use std::fs;
use std::ptr;

use common::{Array, Lock, Manager, Pool, Queue, Value, pipe};
use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use nix::unistd::Uid;

use crate::harness::{child, finish};

trials![nothing_has_a_name];

/// Where the system keeps what has a name, beside the file system at large.
const FOLDERS: [(&str, &str); 3] = [
    ("tmpfs", "/tmp"),
    ("tmpfs", "/dev/shm"),
    ("mqueue", "/dev/mqueue"),
];

/// A new and empty system of files there.
fn mount(kind: &str, folder: &str) {
    let text = |text| CString::new(text).unwrap();
    let (none, kind, folder) = (ptr::null(), text(kind), text(folder));
    // SAFETY: texts that end with a zero, and no data.
    let mounted = unsafe { libc::mount(none, folder.as_ptr(), kind.as_ptr(), 0, none.cast()) };
    Errno::result(mounted).unwrap();
}

/// All names that this process can see in its namespaces.
fn names() -> Vec<String> {
    let mut names = Vec::new();
    for (_, folder) in FOLDERS {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        names.extend(entries.map(|entry| entry.path().display().to_string()));
    }
    let lines = |file: &str| -> Vec<String> {
        let text = fs::read_to_string(file).unwrap();
        text.lines().skip(1).map(String::from).collect()
    };
    // The name of a socket, if it has one, is its eighth column; an abstract one begins with `@`.
    let sockets = lines("/proc/net/unix").into_iter();
    names.extend(sockets.filter(|line| line.split_whitespace().nth(7).is_some()));
    names
        .extend(["msg", "sem", "shm"].map(|kind| lines(&format!("/proc/sysvipc/{kind}")).concat()));
    names.retain(|name| !name.is_empty());
    names
}

fn nothing_has_a_name() {
    if !Uid::effective().is_root() {
        return eprintln!("not run, as it takes root: namespaces without anybody else");
    }
    finish(child("alone", || {
        let flags = CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWIPC;
        unshare(flags).unwrap();
        let (none, all) = (ptr::null(), libc::MS_REC | libc::MS_PRIVATE);
        // SAFETY: no texts but one that ends with a zero, and no data.
        let private = unsafe { libc::mount(none, c"/".as_ptr(), none, all, none.cast()) };
        Errno::result(private).unwrap();
        let there = |(_, folder): &(_, &str)| fs::exists(folder).unwrap();
        let folders = FOLDERS.into_iter().filter(there);
        folders.for_each(|(kind, folder)| mount(kind, folder));
        assert_eq!(names(), Vec::<String>::new());

        let (lock, value) = (Lock::new().unwrap(), Value::new(1_u8).unwrap());
        let (array, queue) = (Array::new(&[1_u8]).unwrap(), Queue::<u8>::new().unwrap());
        let (ours, theirs) = pipe::<u8, u8>().unwrap();
        let manager = Manager::start().unwrap();
        let (kept, door) = (manager.value(1_u8).unwrap(), manager.lock().unwrap());
        let pool = Pool::new(2, |number: u8| anyhow::Ok(kept.get()? + number)).unwrap();
        finish(child("user of all", || {
            let theirs = theirs;
            drop((lock.lock(), value.lock(), array.lock(), door.lock()));
            queue.put(&kept.get().unwrap()).unwrap();
            theirs.send(&queue.get().unwrap()).unwrap();
            assert_eq!(names(), Vec::<String>::new());
        }));
        assert_eq!(pool.map([1, 2, 3]).unwrap(), [2, 3, 4]);
        assert_eq!(ours.recv().unwrap(), 1);
        assert_eq!(names(), Vec::<String>::new());
    }));
}
