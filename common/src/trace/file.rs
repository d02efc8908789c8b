//! Where a record is: in a file, or in memory that an onlooker has.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, Flock, FlockArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::mman::ProtFlags;

use super::record::{Memory, Record};
use crate::atomic::Ordering::Relaxed;
use crate::identity::Identity;

/// In a file, unless another number is asked for: eight mebibytes. The chapters' programs take an
/// eighth of it.
pub(super) const PLACES: usize = 1 << 18;
/// Two gibibytes.
pub(super) const MOST_PLACES: usize = 1 << 26;

/// Makes a record for a program that is yet to be started.
pub(super) fn in_memory(places: usize) -> io::Result<(File, Record)> {
    if places > MOST_PLACES {
        return Err(io::ErrorKind::OutOfMemory.into());
    }
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    let file = File::from(memfd_create("trace", flags)?);
    file.set_len(size(places)?)?;
    // Whoever made it shorter would end all who look at it.
    let seals = SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SEAL;
    fcntl(&file, FcntlArg::F_ADD_SEALS(seals))?;
    // SAFETY: sealed.
    let record = Record(unsafe { Memory::of(&file, places, READ | WRITE) }?);
    record.begin(0, Identity::mine().0);
    Ok((file, record))
}

/// Opens a record to look at it.
pub(super) fn open(path: &Path) -> io::Result<Record> {
    // To open a pipe that has a name takes as long as nobody writes to it.
    if !fs::metadata(path)?.is_file() {
        return Err(no_record());
    }
    map(&File::open(path)?, READ)
}

/// Finds the record that this program is to write, or makes it: by what is there, this program is
/// one that another of its family has started, or the first. A new one has so many places.
pub(super) fn join(path: &Path, places: usize) -> io::Result<Record> {
    loop {
        let mut options = File::options();
        options.read(true).write(true).create(true);
        let file = options.open(path)?;
        // While one program makes it, the next one waits.
        let file = Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, error)| error)?;
        let meta = file.metadata()?;
        if !meta.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no file"));
        }
        if meta.len() > 0 {
            let record = map(&file, READ | WRITE)?;
            let head = record.head();
            let is_looked_at = head.onlooker.load(Relaxed) != 0;
            if is_looked_at || Identity(head.root.load(Relaxed)).is_alive() {
                return Ok(record);
            }
            // Of an earlier run. Not emptied, as somebody may look at it.
            if meta.nlink() > 0 {
                fs::remove_file(fs::canonicalize(path)?)?;
            }
        } else if meta.nlink() > 0 {
            return make(&file, places).inspect_err(|_| drop(file.set_len(0)));
        }
        // Somebody else has removed it before the lock.
    }
}

fn make(file: &File, places: usize) -> io::Result<Record> {
    let size = size(places)?;
    // Where a file has a size and no place on the disk, to write to it ends the process.
    // SAFETY: a system call on numbers.
    let error = unsafe { libc::posix_fallocate(file.as_raw_fd(), 0, size as libc::off_t) };
    if error != 0 {
        return Err(Errno::from_raw(error).into());
    }
    let record = map_unchecked(file, READ | WRITE)?;
    record.begin(Identity::mine().0, 0);
    Ok(record)
}

const READ: ProtFlags = ProtFlags::PROT_READ;
const WRITE: ProtFlags = ProtFlags::PROT_WRITE;

fn map(file: &File, protection: ProtFlags) -> io::Result<Record> {
    let record = map_unchecked(file, protection)?;
    if !record.is_one() {
        return Err(no_record());
    }
    Ok(record)
}

fn map_unchecked(file: &File, protection: ProtFlags) -> io::Result<Record> {
    let places = Memory::len_in(file.metadata()?.len()).ok_or_else(no_record)?;
    // SAFETY: it is as long as it was just now. Who cuts a record that is in use ends those who use
    // it, as with any mapped file; nothing here does.
    let memory = unsafe { Memory::of(file.as_fd(), places.min(MOST_PLACES), protection) };
    Ok(Record(memory?))
}

fn no_record() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "the file is there, and is no record of a run",
    )
}

fn size(places: usize) -> io::Result<u64> {
    Ok(Memory::size_for(places)?.get() as u64)
}
