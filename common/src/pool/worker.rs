//! A worker's whole life.

use std::cell::{Cell, RefCell};
use std::error::Error;
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering::SeqCst;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::{TaskData, TaskError};
use super::wire::{Batch, Claim, IDLE, Shared, parse};
use crate::codec::{decode, encode};
use crate::identity::own_pid;
use crate::process::end_if_panicked;
use crate::ring::RingError;
use crate::words::{chain, panic_message};

/// Outcomes of a chunk are sent when they come to this many bytes, not one by one.
const FLUSH: usize = 16 << 10;

/// Takes tasks and sends outcomes until the pool is closed, or takes no more outcomes either.
pub(super) fn run<A, R, E, F>(shared: &Shared, worker: usize, task: &F) -> Result<(), RingError>
where
    A: DeserializeOwned,
    R: Serialize,
    E: Into<Box<dyn Error + Send + Sync>>,
    F: Fn(A) -> Result<R, E>,
{
    match work(shared, worker, task) {
        Err(RingError::Closed) => Ok(()),
        ended => ended,
    }
}

fn work<A, R, E, F>(shared: &Shared, worker: usize, task: &F) -> Result<(), RingError>
where
    A: DeserializeOwned,
    R: Serialize,
    E: Into<Box<dyn Error + Send + Sync>>,
    F: Fn(A) -> Result<R, E>,
{
    catch_panics();
    let mut tasks = Vec::new();
    let mut outcomes = Outcomes {
        shared,
        batch: Batch::new(),
    };
    let claim = Claim {
        in_hand: shared.in_hand(),
        worker,
    };
    claim.in_hand[worker].store(IDLE, SeqCst);
    // ANCHOR: life
    loop {
        shared.get_task(&mut tasks, &claim)?;
        let (id, arguments) = parse(&tasks);
        outcomes.batch.set_id(id);
        IN_TASK.set(own_pid());
        for argument in arguments {
            outcomes.push(|message, room| {
                perform(task, argument, message, room);
                end_if_a_copy();
            })?;
        }
        IN_TASK.set(0);
        outcomes.flush()?;
        // Killed before this, the worker is taken to have the task still; the parent knows better.
        claim.in_hand[worker].store(IDLE, SeqCst);
    }
    // ANCHOR_END: life
}

/// A task that forks may return in both processes. The copy is no worker: its outcomes would be
/// taken for those of other tasks.
fn end_if_a_copy() {
    if IN_TASK.get() != own_pid() {
        // SAFETY: does not return, and nothing of this process is needed any more.
        unsafe { libc::_exit(0) }
    }
}

/// Runs a task and appends its outcome to `bytes`, also if the task, or a `Serialize` or `Drop` of
/// the user's, panics. An error's text is cut to the room there is.
fn perform<A, R, E>(
    task: impl Fn(A) -> Result<R, E>,
    argument: &[u8],
    bytes: &mut Vec<u8>,
    room: usize,
) where
    A: DeserializeOwned,
    R: Serialize,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    let start = bytes.len();
    PANIC_AT.take(); // that of a panic that an earlier task has caught
    let done = catch_unwind(AssertUnwindSafe(|| {
        let outcome = match decode(argument) {
            Ok(argument) => {
                task(argument).map_err(|error| TaskError::Failed(chain(&*error.into())))
            }
            Err(error) => Err(TaskError::Decode(TaskData::Argument, error)),
        };
        let encoded = outcome.and_then(|result| {
            encode(&Ok::<_, TaskError>(result), bytes)
                .map_err(|error| TaskError::Encode(TaskData::Result, error.to_string()))
        });
        if let Err(error) = encoded {
            encode_error(error, bytes, room);
        }
    }));
    if let Err(payload) = done {
        end_if_panicked(&*payload);
        let (message, location) = (panic_message(payload), PANIC_AT.take());
        bytes.truncate(start);
        encode_error(TaskError::Panicked { message, location }, bytes, room);
    }
}

fn encode_error(mut error: TaskError, bytes: &mut Vec<u8>, room: usize) {
    let start = bytes.len();
    // Numbers and strings, which always can be encoded.
    let _ = encode(&Err::<(), _>(&error), bytes);
    let excess = (bytes.len() - start).saturating_sub(room);
    if excess > 0 {
        error.shorten(excess);
        bytes.truncate(start);
        bytes.shrink_to(start);
        let _ = encode(&Err::<(), _>(&error), bytes);
    }
}

/// Collects the outcomes of one submission.
struct Outcomes<'a> {
    shared: &'a Shared,
    batch: Batch,
}

impl Outcomes<'_> {
    /// Adds the outcome that `write` appends to the message, which has so much room for it.
    fn push(&mut self, write: impl FnOnce(&mut Vec<u8>, usize)) -> Result<(), RingError> {
        let batch = &mut self.batch;
        let (start, capacity) = (batch.len(), self.shared.results.capacity());
        let room = capacity - Batch::len_with(0);
        let size = batch.push(|bytes| write(bytes, room));
        if Batch::len_with(size) > capacity {
            batch.undo(start);
            let what = TaskData::Result;
            let error = TaskError::TooLarge {
                what,
                size,
                capacity,
            };
            batch.push(|bytes| encode_error(error, bytes, room));
        }
        if batch.count() > 1 && batch.len() > FLUSH.min(capacity) {
            // Those before it go first.
            self.shared.put_outcomes(&batch.as_bytes()[..start])?;
            batch.keep_last(start);
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), RingError> {
        if self.batch.count() > 0 {
            self.shared.put_outcomes(self.batch.as_bytes())?;
            self.batch.clear();
        }
        Ok(())
    }
}

thread_local! {
    /// The process that runs a task: a child that a task forks has a copy of this, too.
    static IN_TASK: Cell<u32> = const { Cell::new(0) };
    static PANIC_AT: RefCell<String> = const { RefCell::new(String::new()) };
}

/// A task's panic is its outcome, and not printed here; other threads' panics are.
fn catch_panics() {
    let print = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        if IN_TASK.get() == own_pid() {
            PANIC_AT.set(
                panic
                    .location()
                    .map(ToString::to_string)
                    .unwrap_or_default(),
            );
        } else {
            print(panic);
        }
    }));
}
