//! What the system knows of this program: its processes, its descriptors, its names.

use std::collections::{BTreeSet, HashMap};
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::id;

use anyhow::Result;

pub fn descriptors() -> Result<usize> {
    Ok(fs::read_dir("/proc/self/fd")?.count())
}

/// The names that this program may have left: in /dev/shm whatever belongs to the user, in /tmp,
/// where others work too, what is named as temporary files are.
pub fn names() -> Result<BTreeSet<OsString>> {
    let mut names = BTreeSet::new();
    let me = fs::metadata("/proc/self")?.uid();
    for (folder, prefix) in [("/dev/shm", ""), ("/tmp", ".tmp")] {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let ours = entry.metadata().is_ok_and(|data| data.uid() == me);
            if ours && entry.file_name().to_string_lossy().starts_with(prefix) {
                names.insert(entry.path().into_os_string());
            }
        }
    }
    Ok(names)
}

/// A line for each process below this one, for whoever wants to know what hangs where.
pub fn descendants() -> String {
    let mut lines = Vec::new();
    let mut parents = HashMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let folder = entry.path();
        let read = |file| fs::read_to_string(folder.join(file)).unwrap_or_default();
        // "PID (NAME) STATE PPID ...": see proc_pid_stat(5).
        let stat = read("stat");
        let Some((pid_and_name, rest)) = stat.rsplit_once(") ") else {
            continue;
        };
        let Some((pid, name)) = pid_and_name.split_once(" (") else {
            continue;
        };
        let mut rest = rest.split(' ');
        let (state, parent) = (rest.next().unwrap_or("?"), rest.next().unwrap_or("0"));
        parents.insert(pid.to_owned(), parent.to_owned());
        let line = format!(
            "{pid} {name}, child of {parent}, {state}, {}",
            read("wchan")
        );
        lines.push((pid.to_owned(), line));
    }
    let me = id().to_string();
    let is_below = |pid: &str| {
        let mut pid = pid;
        while let Some(parent) = parents.get(pid) {
            if *parent == me {
                return true;
            }
            pid = parent;
        }
        false
    };
    lines.retain(|(pid, _)| is_below(pid));
    let lines: Vec<_> = lines.into_iter().map(|(_, line)| line).collect();
    lines.join("\n")
}
