//! What can go wrong with a pool and with its tasks.

use std::fmt;
use std::io;
use std::process::ExitStatus;

use serde::{Deserialize, Serialize};

use crate::asleep::Deadlock;
use crate::process::SpawnError;

/// Why a pool could not be made or did not end well.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PoolError {
    /// A pool of no workers was asked for.
    #[error("a pool needs at least one worker")]
    NoWorkers,
    /// The supervisor could not be started.
    #[error("the pool cannot be started")]
    Start(#[from] SpawnError),
    /// The workers could not be started.
    #[error("the pool cannot start its workers: {0}")]
    Workers(String),
    /// The supervisor ended before the tasks did, or could not be waited for.
    #[error("the pool ended early: {0}")]
    Ended(String),
    /// Tasks failed whose [`AsyncResult`](super::AsyncResult) was dropped without
    /// [`get`](super::AsyncResult::get) and without an
    /// [`error_callback`](super::AsyncResult::error_callback).
    #[error(
        "nobody has asked for the errors of {count} task(s): call get() or error_callback() on \
         what apply_async() returns; the first: {first}"
    )]
    Unheard {
        /// How many.
        count: usize,
        /// The error of the first of them.
        first: TaskError,
    },
    /// Nobody can go on: the tasks wait, too.
    #[error(transparent)]
    Deadlock(Deadlock),
    /// The system refused.
    #[error("the system cannot give memory to the pool")]
    System(#[from] io::Error),
}

/// A task's result, or why there is none; as small as the result where that is small.
pub(super) type Outcome<R> = Result<R, Box<TaskError>>;

/// What is copied between a pool's processes for a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TaskData {
    /// What the task function is called with.
    Argument,
    /// What it returns.
    Result,
}

impl fmt::Display for TaskData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TaskData::Argument => "the argument",
            TaskData::Result => "the result",
        })
    }
}

/// Why a task has no result. It says what went wrong in plain words, since the error itself
/// happened in another process.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[non_exhaustive]
pub enum TaskError {
    /// The task returned an error: its message, with its causes. What is too long for the pool's
    /// capacity is cut, and says how long it was; so is a panic's message.
    #[error("{0}")]
    Failed(String),
    /// The task panicked.
    #[error("the task panicked at {location}: {message}")]
    Panicked {
        /// What the panic said.
        message: String,
        /// File, line and column.
        location: String,
    },
    /// The argument or the result cannot be encoded.
    #[error("{0} cannot be encoded: {1}")]
    Encode(TaskData, String),
    /// The argument or the result cannot be decoded.
    #[error("{0} cannot be decoded: {1}")]
    Decode(TaskData, String),
    /// The argument or the result is too large.
    #[error(
        "{what} takes {size} bytes, too large for this pool of {capacity} bytes: make the pool \
         with Pool::with_capacity"
    )]
    TooLarge {
        /// Which of the two.
        what: TaskData,
        /// Its size when encoded, in bytes.
        size: usize,
        /// The pool's capacity, in bytes.
        capacity: usize,
    },
    /// The worker that had the task ended: by which signal or with which exit code.
    #[error("worker process {pid} ended while it had the task: {status}")]
    #[serde(skip)]
    WorkerDied {
        /// The worker's pid.
        pid: u32,
        /// How it ended.
        status: ExitStatus,
    },
    /// The pool was closed before the task was submitted.
    #[error("the pool is closed: submit tasks before close() and join()")]
    #[serde(skip)]
    Closed,
    /// The pool was terminated or dropped before the task was done.
    #[error("the pool was terminated before the task was done")]
    #[serde(skip)]
    Terminated,
    /// Nobody can go on: the tasks wait, too. They still do, so that whoever can give them what
    /// they wait for can use the pool on.
    #[error(transparent)]
    #[serde(skip)]
    Deadlock(#[from] Deadlock),
    /// The pool can run no more tasks.
    #[error("the pool has failed: {0}")]
    #[serde(skip)]
    PoolFailed(String),
}

impl TaskError {
    /// Cuts the end off its text, so that it takes at least `excess` bytes less.
    pub(super) fn shorten(&mut self, excess: usize) {
        let (TaskError::Failed(text)
        | TaskError::Panicked { message: text, .. }
        | TaskError::Encode(_, text)
        | TaskError::Decode(_, text)) = self
        else {
            return;
        };
        let mark = format!("… ({} bytes in all)", text.len());
        let mut kept = text.len().saturating_sub(excess + mark.len());
        while !text.is_char_boundary(kept) {
            kept -= 1;
        }
        text.truncate(kept);
        text.shrink_to_fit();
        text.push_str(&mark);
    }
}
