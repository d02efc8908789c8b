//! A worker's whole life.

use std::cell::{Cell, RefCell};
use std::error::Error;
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering::SeqCst;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::TaskError;
use super::wire::{Claim, IDLE, Shared, parse};
use crate::codec::{decode, encode, panic_message};
use crate::deadline::Deadline;
use crate::process::chain;
use crate::ring::RingError;

/// Outcomes of a chunk are sent when they come to this many bytes, not one by one.
const FLUSH: usize = 16 << 10;

/// Takes tasks and sends outcomes until the pool is closed.
pub(super) fn run<A, R, E, F>(shared: &Shared, worker: usize, task: &F) -> Result<(), RingError>
where
    A: DeserializeOwned,
    R: Serialize,
    E: Into<Box<dyn Error + Send + Sync>>,
    F: Fn(A) -> Result<R, E>,
{
    catch_panics();
    let (mut tasks, mut outcome) = (Vec::new(), Vec::new());
    let mut outcomes = Outcomes {
        shared,
        message: Vec::new(),
    };
    let claim = Claim {
        in_hand: shared.in_hand(),
        worker,
    };
    claim.in_hand[worker].store(IDLE, SeqCst);
    loop {
        match shared.tasks.get(&mut tasks, Deadline::NEVER, &claim) {
            Err(RingError::Closed) => return Ok(()),
            got => got?,
        }
        let (id, arguments) = parse(&tasks);
        outcomes.begin(id);
        for argument in arguments {
            outcome.clear();
            perform(task, argument, &mut outcome);
            outcomes.push(&mut outcome)?;
        }
        outcomes.flush()?;
        // Killed before this, the worker is taken to have the task still; the parent knows better.
        claim.in_hand[worker].store(IDLE, SeqCst);
    }
}

/// Runs a task and writes down its outcome, also if the task, or a `Serialize` or `Drop` of the
/// user's, panics.
fn perform<A, R, E>(task: impl Fn(A) -> Result<R, E>, argument: &[u8], bytes: &mut Vec<u8>)
where
    A: DeserializeOwned,
    R: Serialize,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    IN_TASK.set(std::process::id());
    let done = catch_unwind(AssertUnwindSafe(|| {
        let outcome = match decode(argument) {
            Ok(argument) => {
                task(argument).map_err(|error| TaskError::Failed(chain(&*error.into())))
            }
            Err(error) => Err(TaskError::Decode("the argument".into(), error)),
        };
        encode_outcome(&outcome, bytes);
    }));
    if let Err(payload) = done {
        let (message, location) = (panic_message(payload), PANIC_AT.take());
        bytes.clear();
        encode_outcome::<()>(&Err(TaskError::Panicked { message, location }), bytes);
    }
    IN_TASK.set(0);
}

fn encode_outcome<R: Serialize>(outcome: &Result<R, TaskError>, bytes: &mut Vec<u8>) {
    if let Err(error) = encode(outcome, bytes) {
        let error = TaskError::Encode("the result".into(), error.to_string());
        // Strings always can be encoded.
        let _ = encode(&Err::<(), _>(error), bytes);
    }
}

/// Collects the outcomes of one submission.
struct Outcomes<'a> {
    shared: &'a Shared,
    message: Vec<u8>,
}

impl Outcomes<'_> {
    fn begin(&mut self, id: u64) {
        self.message.clear();
        self.message.extend(id.to_le_bytes());
    }

    fn push(&mut self, outcome: &mut Vec<u8>) -> Result<(), RingError> {
        let (capacity, header) = (
            self.shared.results.capacity(),
            size_of::<u64>() + size_of::<u32>(),
        );
        if header + outcome.len() > capacity {
            let (what, size) = ("the result".to_owned(), outcome.len());
            outcome.clear();
            encode_outcome::<()>(
                &Err(TaskError::TooLarge {
                    what,
                    size,
                    capacity,
                }),
                outcome,
            );
        }
        if self.message.len() + outcome.len() > FLUSH.min(capacity - header) {
            self.flush()?;
        }
        self.message.extend((outcome.len() as u32).to_le_bytes());
        self.message.extend_from_slice(outcome);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), RingError> {
        if self.message.len() > size_of::<u64>() {
            self.shared.results.put(&self.message, Deadline::NEVER)?;
            self.message.truncate(size_of::<u64>());
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
        if IN_TASK.get() == std::process::id() {
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
