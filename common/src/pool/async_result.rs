//! A task that was submitted, as its submitter sees it.

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::callbacks::Task;
use super::error::{Outcome, TaskError};
use super::parent::Parent;
use crate::deadline::Deadline;

/// A task that was submitted with [`Pool::apply_async`](super::Pool::apply_async). Python:
/// `AsyncResult`.
///
/// ```
/// use common::{Pool, TaskError};
///
/// let pool = Pool::new(2, |divisor: i64| 100_i64.checked_div(divisor).ok_or("divided by zero"))?;
/// let good = pool.apply_async(&5).callback(|result| println!("result: {result}"));
/// let bad = pool.apply_async(&0).error_callback(|error| println!("error: {error}"));
/// assert_eq!(good.get(), Ok(20));
/// assert_eq!(bad.get(), Err(TaskError::Failed("divided by zero".into())));
/// # Ok::<(), anyhow::Error>(())
/// ```
pub struct AsyncResult<'cb, R> {
    parent: Rc<Parent<'cb, R>>,
    task: Rc<Task<'cb, R>>,
}

impl<'cb, R> AsyncResult<'cb, R> {
    pub(super) fn new(parent: Rc<Parent<'cb, R>>, task: Rc<Task<'cb, R>>) -> Self {
        AsyncResult { parent, task }
    }
}

impl<R> fmt::Debug for AsyncResult<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncResult")
            .field("has_arrived", &self.task.has_arrived())
            .finish_non_exhaustive()
    }
}

impl<'cb, R: DeserializeOwned> AsyncResult<'cb, R> {
    /// Calls `callback` with the result when it arrives, if it does. At once, if it has.
    #[must_use = "an error of the task is not seen: get() it, or add an error_callback() last"]
    pub fn callback(self, callback: impl FnOnce(&R) + 'cb) -> Self {
        self.task.set_callback(Box::new(callback));
        self
    }

    /// Calls `callback` with the error when it arrives, if it does. At once, if it has.
    pub fn error_callback(self, callback: impl FnOnce(&TaskError) + 'cb) -> Self {
        self.task.set_error_callback(Box::new(callback));
        self
    }

    /// Waits for the task's result.
    ///
    /// # Errors
    /// [`TaskError`].
    #[track_caller]
    pub fn get(self) -> Result<R, TaskError> {
        match self.get_until(Deadline::never()) {
            Ok(outcome) => outcome.map_err(|error| *error),
            // A wait without a limit ends with an outcome.
            Err(_) => Err(TaskError::PoolFailed("no outcome".into())),
        }
    }

    /// Waits for the task's outcome for at most `limit`.
    ///
    /// # Errors
    /// Itself, while the task is not done.
    #[track_caller]
    pub fn get_timeout(self, limit: Duration) -> Result<Result<R, TaskError>, Self> {
        let outcome = self.get_until(Deadline::within(limit))?;
        Ok(outcome.map_err(|error| *error))
    }

    /// Whether the task is done, so that [`get`](AsyncResult::get) returns at once.
    pub fn ready(&self) -> bool {
        if !self.task.has_arrived() {
            // Without a wait there is no deadlock.
            let _ = self.parent.step(Deadline::NOW);
        }
        self.task.has_arrived()
    }

    fn get_until(self, deadline: Deadline) -> Result<Outcome<R>, Self> {
        loop {
            if let Some(outcome) = self.task.take() {
                return Ok(outcome);
            }
            if self.task.is_called() {
                let reason = "a callback waits for the very task that it was called for";
                return Ok(Err(TaskError::PoolFailed(reason.into()).into()));
            }
            if let Err(deadlock) = self.parent.step(deadline) {
                return Ok(Err(Box::new(deadlock.into())));
            }
            if deadline.has_passed() && !self.task.has_arrived() {
                return Err(self);
            }
        }
    }
}
