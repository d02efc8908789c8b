//! A task that was submitted, as its submitter sees it.

use std::any::Any;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::TaskError;
use super::error::Outcome;
use super::parent::{Deliver, Parent};
use crate::deadline::Deadline;

/// A task that was submitted with [`Pool::apply_async`](super::Pool::apply_async). Python: `AsyncResult`.
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
    state: Rc<RefCell<State<'cb, R>>>,
}

type Callback<'cb, T> = Box<dyn FnOnce(&T) + 'cb>;

/// A task's outcome, once it has arrived, and who is to be called with it.
pub(super) struct State<'cb, R> {
    outcome: Option<Outcome<R>>,
    callback: Option<Callback<'cb, R>>,
    error_callback: Option<Callback<'cb, TaskError>>,
    /// A callback has the outcome at this moment.
    called: bool,
}

impl<R> State<'_, R> {
    fn has_callbacks(&self) -> bool {
        self.callback.is_some() || self.error_callback.is_some()
    }

    /// Calls whom the outcome concerns, at most once. Its error is the callback's panic.
    pub fn call_back(state: &RefCell<Self>) -> Result<(), Box<dyn Any + Send>> {
        let (outcome, callback, error_callback) = {
            let mut state = state.borrow_mut();
            if !state.has_callbacks() {
                return Ok(());
            }
            let Some(outcome) = state.outcome.take() else {
                return Ok(()); // taken, after its callback was called
            };
            state.called = true;
            let (callback, error_callback) = match outcome {
                Ok(_) => (state.callback.take(), None),
                // Nobody waits: no time to call.
                Err(ref error) if **error == TaskError::Terminated => (None, None),
                Err(_) => (None, state.error_callback.take()),
            };
            (outcome, callback, error_callback)
        };
        // Without a borrow of the state: a callback may do anything.
        let called = catch_unwind(AssertUnwindSafe(|| {
            match (&outcome, callback, error_callback) {
                (Ok(result), Some(callback), _) => callback(result),
                (Err(error), _, Some(callback)) => callback(error),
                _ => {}
            }
        }));
        let mut state = state.borrow_mut();
        (state.outcome, state.called) = (Some(outcome), false);
        called
    }
}

impl<'cb, R: 'cb> AsyncResult<'cb, R> {
    /// With what takes its outcome.
    pub(super) fn new(parent: Rc<Parent<'cb, R>>) -> (Self, Deliver<'cb, R>) {
        let state = Rc::new(RefCell::new(State {
            outcome: None,
            callback: None,
            error_callback: None,
            called: false,
        }));
        let receiver = Rc::clone(&state);
        let deliver = Box::new(move |parent: &Parent<'cb, R>, _, outcome| {
            let mut state = receiver.borrow_mut();
            state.outcome = Some(outcome);
            let has_callbacks = state.has_callbacks();
            drop(state);
            if has_callbacks {
                parent.call_back(Rc::clone(&receiver));
            }
        });
        (AsyncResult { parent, state }, deliver)
    }
}

impl<'cb, R: DeserializeOwned> AsyncResult<'cb, R> {
    /// Calls `callback` with the result when it arrives, if it does. At once, if it has.
    pub fn callback(self, callback: impl FnOnce(&R) + 'cb) -> Self {
        let _before = self.state.borrow_mut().callback.replace(Box::new(callback));
        self.catch_up()
    }

    /// Calls `callback` with the error when it arrives, if it does. At once, if it has.
    pub fn error_callback(self, callback: impl FnOnce(&TaskError) + 'cb) -> Self {
        let _before = self
            .state
            .borrow_mut()
            .error_callback
            .replace(Box::new(callback));
        self.catch_up()
    }

    /// Waits for the task's result.
    ///
    /// # Errors
    /// [`TaskError`].
    pub fn get(self) -> Result<R, TaskError> {
        match self.get_until(Deadline::NEVER) {
            Ok(outcome) => outcome.map_err(|error| *error),
            // A wait without a limit ends with an outcome.
            Err(_) => Err(TaskError::PoolFailed("no outcome".into())),
        }
    }

    /// Waits for the task's outcome for at most `limit`.
    ///
    /// # Errors
    /// Itself, while the task is not done.
    pub fn get_timeout(self, limit: Duration) -> Result<Result<R, TaskError>, Self> {
        let outcome = self.get_until(Deadline::after(limit))?;
        Ok(outcome.map_err(|error| *error))
    }

    /// Whether the task is done, so that [`get`](AsyncResult::get) returns at once.
    pub fn ready(&self) -> bool {
        if self.state.borrow().outcome.is_none() {
            self.parent.step(Deadline::NOW);
        }
        self.state.borrow().outcome.is_some()
    }

    fn get_until(self, deadline: Deadline) -> Result<Outcome<R>, Self> {
        loop {
            if self.state.borrow().outcome.is_some() {
                // Its callback comes first, if it was put off.
                self.parent.note(State::call_back(&self.state));
                if let Some(outcome) = self.state.borrow_mut().outcome.take() {
                    return Ok(outcome);
                }
            }
            if self.state.borrow().called {
                let reason = "a callback waits for the very task that it was called for";
                return Ok(Err(TaskError::PoolFailed(reason.into()).into()));
            }
            self.parent.step(deadline);
            if deadline.has_passed() && self.state.borrow().outcome.is_none() {
                return Err(self);
            }
        }
    }

    /// For a callback that was given after the outcome had arrived.
    fn catch_up(self) -> Self {
        if self.state.borrow().outcome.is_some() {
            self.parent.call_back(Rc::clone(&self.state));
        }
        self
    }
}
