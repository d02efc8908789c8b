//! What the processes of a family do, written down for an onlooker. With `MP_TRACE=FILE` in its
//! environment, a program records itself; nothing in it needs to be changed for that. This is the
//! reader, for tools: a picture of a run, a check of it.
//!
//! ```
//! use common::trace::{Trace, What};
//! # use std::process::Command;
//!
//! let trace = Trace::in_memory(100_000)?;
//! let program = "true"; // or one that uses this crate
//! Command::new(program).env("MP_TRACE", trace.path()).status()?;
//! for event in trace.events() {
//!     if let What::Born { name, .. } = event.what {
//!         println!("{name:?} (pid {}) began after {:?}", event.pid, event.time);
//!     }
//! }
//! # Ok::<(), std::io::Error>(())
//! ```

mod event;
mod file;
mod record;
mod recorder;

use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process;

use crate::atomic::Ordering::*;
pub use event::{Act, Event, Hold, ObjectId, Outcome, Side, Then, What};
pub(crate) use record::encode;
use record::{FREE, RELEASED, Record, SET};
pub(crate) use recorder::{
    asleep, at, awake, born, close, ended, exits, made, made_by_a_server, serves, tell_deadlock,
};

/// The record of a program's run, while it runs or afterwards.
///
/// It has room for so many events; those for which there is none are counted, and the program goes
/// on. What a process has done until its last moment is there, however it has ended: only an event
/// in the middle of which it was killed is missing.
///
/// **A program can write anything into its record**, by a stray pointer or on purpose. Whoever reads
/// it gets events that did not happen then, but no panic, nor more of them than there is room for.
pub struct Trace {
    record: Record,
    path: PathBuf,
    /// In memory, it is there as long as this is.
    file: Option<File>,
}

impl Trace {
    /// An empty record for a program that is yet to be started, in memory, with room for so many
    /// events (those with a text take some more): set `MP_TRACE` to its [`path`](Trace::path). It
    /// is of use for as long as this process lives.
    ///
    /// # Errors
    /// The system has no memory, or no descriptor.
    pub fn in_memory(capacity: usize) -> io::Result<Trace> {
        let (file, record) = file::in_memory(capacity)?;
        let path = format!("/proc/{}/fd/{}", process::id(), file.as_raw_fd()).into();
        let file = Some(file);
        Ok(Trace { record, path, file })
    }

    /// The record in a file. To make a file shorter that is open here ends this process
    /// (`SIGBUS`), as with any file that is mapped; no program does that to its own.
    ///
    /// # Errors
    /// It cannot be opened, or is no such record.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Trace> {
        let path = path.as_ref().to_owned();
        let record = file::open(&path)?;
        let file = None;
        Ok(Trace { record, path, file })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All events so far, in one order: what was done before something else in truth is before it
    /// here. Those that a process was killed in, or is about to write, are left out.
    pub fn events(&self) -> impl Iterator<Item = Event> {
        self.record.events()
    }

    /// How much of the room is taken, which grows with each event.
    pub fn len(&self) -> usize {
        self.record.len()
    }

    /// Whether nothing was written yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many events have found no room.
    pub fn dropped(&self) -> u64 {
        self.record.dropped()
    }

    /// Stops or kills a process at a point. To be said before the program starts. The answer is the
    /// hold's number.
    ///
    /// A process that is held waits in short sleeps, and counts as one that goes on. When the
    /// onlooker ends, it is released.
    ///
    /// # Errors
    /// It is the ninth, its process's name is empty, has a zero or is longer than 47 bytes, or this
    /// record is not [in memory](Trace::in_memory).
    pub fn hold(&self, hold: &Hold) -> io::Result<usize> {
        let refused = |why: &str| Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        if self.file.is_none() {
            return refused("a record in a file holds nobody");
        }
        let holds = &self.record.head().holds;
        let is_free = |place: &&record::HoldPlace| place.state.load(Relaxed) == FREE;
        let Some(number) = holds.iter().position(|place| is_free(&place)) else {
            return refused("too many holds");
        };
        let place = &holds[number];
        place.process.write(&hold.process);
        if hold.process.is_empty() || !place.process.is(&hold.process) {
            return refused("no process has such a name, or it is longer than 47 bytes");
        }
        place
            .point
            .store(recorder::point(hold.act, hold.side), Relaxed);
        place.nth.store(hold.nth, Relaxed);
        place.kills.store((hold.then == Then::Kill).into(), Relaxed);
        place.state.store(SET, Release);
        Ok(number)
    }

    /// The process that has come to the point of this hold: it is there, was released, or has
    /// killed itself.
    pub fn held(&self, hold: usize) -> Option<u32> {
        let place = self.record.head().holds.get(hold)?;
        match place.pid.load(Acquire) {
            0 => None,
            pid => Some(pid),
        }
    }

    /// Lets the process go on, now or when it comes to the point.
    pub fn release(&self, hold: usize) {
        if let (Some(_), Some(place)) = (&self.file, self.record.head().holds.get(hold)) {
            place.state.store(RELEASED, Release);
        }
    }

    /// From now on, whoever would get a [`Deadlock`](crate::Deadlock) sleeps on, and says here what
    /// the error would have said. Of a record [in memory](Trace::in_memory).
    pub fn tell_deadlocks(&self) {
        if self.file.is_some() {
            self.record.head().deadlock.ask();
        }
    }

    /// What was said first.
    pub fn deadlock(&self) -> Option<String> {
        self.record.head().deadlock.read()
    }
}

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trace")
            .field("path", &self.path)
            .field("len", &self.len())
            .field("dropped", &self.dropped())
            .finish_non_exhaustive()
    }
}
