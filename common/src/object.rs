//! What processes share, as people and onlookers know it.

use std::fmt;
use std::panic::Location;

use crate::trace::{self, ObjectId};

/// What was made, and where: people know it by that.
#[derive(Clone, Copy)]
pub(crate) struct Object {
    id: ObjectId,
    kind: &'static str,
    made: &'static Location<'static>,
}

impl Object {
    /// Made by the caller.
    #[track_caller]
    pub fn new(kind: &'static str) -> Self {
        let made = Location::caller();
        let id = trace::made(kind, made);
        Object { id, kind, made }
    }

    #[inline]
    pub fn id(&self) -> ObjectId {
        self.id
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the {} made at {}:{}",
            self.kind,
            self.made.file(),
            self.made.line()
        )
    }
}
