//! Ten thousand uses leave no descriptor, child or name behind.

use std::fs;
use std::time::Duration;

use common::{Array, Lock, Manager, Pool, Queue, Value, pipe};

use crate::harness::{child, descriptors, finish};

trials![descriptors_after_ten_thousand_uses, no_names];

fn descriptors_after_ten_thousand_uses() {
    let before = descriptors();
    let manager = Manager::start().unwrap();
    let value = manager.value(0_u32).unwrap();
    for number in 0..2_000 {
        let (lock, shared) = (Lock::new().unwrap(), Value::new(number).unwrap());
        let (array, queue) = (Array::new(&[number]).unwrap(), Queue::new().unwrap());
        let (left, right) = pipe::<u32, u32>().unwrap();
        drop(lock.lock().unwrap());
        queue.put(&*shared.lock().unwrap()).unwrap();
        left.send(&queue.get().unwrap()).unwrap();
        array.lock().unwrap()[0] = right.recv().unwrap();
        value.set(&array.lock().unwrap()[0]).unwrap();
        let mut process = child("child", || ());
        process
            .join_timeout(Duration::from_secs(10))
            .unwrap()
            .unwrap();
    }
    assert_eq!(value.get().unwrap(), 1_999);
    drop((value, manager));
    for number in 0..100 {
        let manager = Manager::start().unwrap();
        assert_eq!(manager.value(number).unwrap().get().unwrap(), number);
        let pool = Pool::new(2, |number: u32| anyhow::Ok(number)).unwrap();
        assert_eq!(pool.map(0..100).unwrap().len(), 100);
        if number % 2 == 0 {
            pool.join().unwrap();
        }
    }
    assert_eq!(descriptors(), before);
}

/// The names of what this process and its relatives have open or mapped.
fn names(pid: u32) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(format!("/proc/{pid}/fd"))
        .unwrap()
        .flatten()
        .filter_map(|entry| {
            fs::read_link(entry.path())
                .ok()?
                .into_os_string()
                .into_string()
                .ok()
        })
        .collect();
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    names.extend(
        maps.lines()
            .filter_map(|line| line.split_whitespace().nth(5).map(String::from)),
    );
    // Sockets by their name: those with one have it in the last column.
    for line in fs::read_to_string("/proc/net/unix").unwrap().lines() {
        let columns: Vec<&str> = line.split_whitespace().collect();
        if let [.., inode, name] = columns[..]
            && names.contains(&format!("socket:[{inode}]"))
        {
            names.push(format!("socket {name}"));
        }
    }
    names
}

fn no_names() {
    let before = names(std::process::id());
    let (queue, manager) = (Queue::<u8>::new().unwrap(), Manager::start().unwrap());
    let (value, _pipe) = (manager.value(1_u8).unwrap(), pipe::<u8, u8>().unwrap());
    queue.put(&value.get().unwrap()).unwrap();
    let pool = Pool::new(1, |()| anyhow::Ok(std::process::id())).unwrap();
    let worker = pool.apply(&()).unwrap();
    for pid in [std::process::id(), manager.pid(), worker] {
        for name in names(pid) {
            // Shared memory without a name, which the kernel shows as a file deleted at birth.
            let nameless = name == "/dev/zero"
                || ["socket:[", "pipe:[", "anon_inode:", "["]
                    .iter()
                    .any(|kind| name.starts_with(kind));
            assert!(
                nameless || before.contains(&name) || name.starts_with("/proc/"),
                "{name}"
            );
        }
    }
    drop(pool);
    finish(child("child", || ()));
}
