//! What the processes of a family do, written down for an onlooker: with `MP_TRACE=FILE` in its
//! environment, a program records it there. For tools; a program needs nothing of it.

mod event;

use std::io;
use std::path::{Path, PathBuf};

pub use event::{Act, Event, Hold, ObjectId, Outcome, Side, Then, What};

/// How many holds there can be.
pub const HOLDS: usize = 8;

/// The record of a program's run, while it runs or afterwards.
#[derive(Debug)]
pub struct Trace {
    path: PathBuf,
}

impl Trace {
    /// An empty record for a program that is yet to be started, in memory, with room for so many
    /// events (those with a text take some more): set `MP_TRACE` to its [`path`](Trace::path).
    ///
    /// # Errors
    /// The system has no memory, or no descriptor.
    pub fn in_memory(_capacity: usize) -> io::Result<Trace> {
        Ok(Trace {
            path: PathBuf::new(),
        })
    }

    /// The record in a file.
    ///
    /// # Errors
    /// It cannot be opened, or is no such record.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Trace> {
        Ok(Trace {
            path: path.as_ref().to_owned(),
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All events so far, in their order. Those that a process was killed in, or is still writing,
    /// are left out.
    pub fn events(&self) -> impl Iterator<Item = Event> {
        std::iter::empty()
    }

    /// A number that grows with whatever is written.
    pub fn len(&self) -> usize {
        0
    }

    /// Whether nothing was written yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many events found no room.
    pub fn dropped(&self) -> u64 {
        0
    }

    /// Holds a process at a point; to be said before the program starts. The answer is the hold's
    /// number.
    ///
    /// # Errors
    /// It is the ninth, its name is longer than 47 bytes, or this is no record
    /// [`in_memory`](Trace::in_memory).
    pub fn hold(&self, _hold: &Hold) -> io::Result<usize> {
        Ok(0)
    }

    /// The process that has come to the point of this hold, and is there, was released, or has
    /// killed itself.
    pub fn held(&self, _hold: usize) -> Option<u32> {
        None
    }

    /// Lets the process go on, now or when it comes to the point.
    pub fn release(&self, _hold: usize) {}

    /// From now on, whoever would get an error since nobody can go on, sleeps on, and says so here.
    pub fn tell_deadlocks(&self) {}

    /// What the error would say.
    pub fn deadlock(&self) -> Option<String> {
        None
    }
}
