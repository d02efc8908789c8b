//! In place of `common`'s `mutex`: a robust mutex.

use std::io;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::Ordering::AcqRel;

use loom::sync::atomic::AtomicU32;

use crate::deadline::Deadline;
use crate::memory;
use crate::stage::{self, Mutation, Queue, mutated};

const FREE: u32 = 0;
const HELD: u32 = 1;
const ABANDONED: u32 = 2;

#[allow(dead_code)]
#[derive(Debug, thiserror::Error)]
pub enum MutexError {
    #[error("timed out")]
    TimedOut,
    #[error("the system")]
    System(io::Error),
    #[error("held already")]
    AlreadyHeld,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Acquired {
    Clean,
    FromTheDead,
}

#[derive(Default)]
pub struct RawMutex(Arc<Owned>);

#[derive(Default)]
pub struct Owned {
    state: AtomicU32,
    waiting: Queue,
}

impl RawMutex {
    /// # Safety
    /// None is needed; the real one's is.
    pub unsafe fn init(_this: NonNull<RawMutex>) -> io::Result<()> {
        Ok(())
    }

    pub fn try_acquire(&self) -> Result<Acquired, MutexError> {
        Err(MutexError::TimedOut)
    }

    pub fn acquire(&self, _deadline: Deadline) -> Result<Acquired, MutexError> {
        stage::step();
        if mutated(Mutation::NoExclusion) {
            return Ok(Acquired::Clean);
        }
        loop {
            let acquired = match self.0.state.swap(HELD, AcqRel) {
                FREE => Acquired::Clean,
                ABANDONED => Acquired::FromTheDead,
                _ => {
                    self.0.waiting.sleep_soundly();
                    continue;
                }
            };
            stage::hold(&self.0);
            return Ok(acquired);
        }
    }

    pub fn release(&self) {
        // The owner was killed, or the model has failed already.
        if std::thread::panicking() {
            return;
        }
        stage::step();
        memory::write_delayed();
        stage::let_go(&self.0);
        self.0.hand_over(FREE);
    }
}

impl Owned {
    pub fn owner_died(&self) {
        if !mutated(Mutation::NotRobust) {
            self.hand_over(ABANDONED);
        }
    }

    fn hand_over(&self, state: u32) {
        self.state.swap(state, AcqRel);
        self.waiting.wake(1);
    }
}
