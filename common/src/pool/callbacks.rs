//! A task's outcome, and who is called with it.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use super::error::{Outcome, TaskError};

type Callback<'cb, T> = Box<dyn FnOnce(&T) + 'cb>;

/// What a callback panicked with.
pub(super) type Panic = Box<dyn Any + Send>;

/// The callbacks of a pool, which run one after the other.
pub(super) struct Callbacks<'cb, R> {
    /// Whether one runs at this moment.
    running: Cell<bool>,
    /// Tasks whose outcomes have arrived meanwhile.
    waiting: RefCell<VecDeque<Rc<Task<'cb, R>>>>,
    first_panic: RefCell<Option<Panic>>,
    /// How many errors nobody has asked for and nobody will, and the first.
    unheard: RefCell<Option<(usize, TaskError)>>,
}

impl<R> Callbacks<'_, R> {
    pub fn new() -> Rc<Self> {
        Rc::new(Callbacks {
            running: Cell::new(false),
            waiting: RefCell::default(),
            first_panic: RefCell::default(),
            unheard: RefCell::default(),
        })
    }

    pub fn take_panic(&self) -> Option<Panic> {
        self.first_panic.take()
    }

    pub fn take_unheard(&self) -> Option<(usize, TaskError)> {
        self.unheard.take()
    }

    fn note(&self, called: Result<(), Panic>) {
        if let Err(panic) = called {
            let mut first = self.first_panic.borrow_mut();
            if first.is_none() {
                *first = Some(panic);
            } else {
                // Dropping somebody's payload may panic once more.
                std::mem::forget(panic);
            }
        }
    }
}

/// A task that was submitted, as the parent and its submitter share it.
pub(super) struct Task<'cb, R> {
    state: RefCell<State<'cb, R>>,
    callbacks: Rc<Callbacks<'cb, R>>,
}

struct State<'cb, R> {
    /// Once it has arrived.
    outcome: Option<Outcome<R>>,
    callback: Option<Callback<'cb, R>>,
    error_callback: Option<Callback<'cb, TaskError>>,
    /// A callback has the outcome at this moment.
    called: bool,
    /// An error callback has had the outcome.
    heard: bool,
}

impl<R> Drop for Task<'_, R> {
    fn drop(&mut self) {
        let state = self.state.get_mut();
        match state.outcome.take() {
            Some(Err(error)) if !state.heard => {
                let mut unheard = self.callbacks.unheard.borrow_mut();
                unheard.get_or_insert((0, *error)).0 += 1;
            }
            _ => {}
        }
    }
}

impl<'cb, R> Task<'cb, R> {
    pub fn new(callbacks: Rc<Callbacks<'cb, R>>) -> Rc<Self> {
        let state = RefCell::new(State {
            outcome: None,
            callback: None,
            error_callback: None,
            called: false,
            heard: false,
        });
        Rc::new(Task { state, callbacks })
    }

    /// The outcome has arrived.
    pub fn deliver(self: &Rc<Self>, outcome: Outcome<R>) {
        self.state.borrow_mut().outcome = Some(outcome);
        self.call_in_turn();
    }

    /// Calls at once if the outcome has arrived before.
    pub fn set_callback(self: &Rc<Self>, callback: Callback<'cb, R>) {
        let _before = self.state.borrow_mut().callback.replace(callback);
        self.call_in_turn();
    }

    /// Like [`set_callback`](Task::set_callback), for an error.
    pub fn set_error_callback(self: &Rc<Self>, callback: Callback<'cb, TaskError>) {
        let _before = self.state.borrow_mut().error_callback.replace(callback);
        self.call_in_turn();
    }

    pub fn has_arrived(&self) -> bool {
        self.state.borrow().outcome.is_some()
    }

    /// Whether a callback has the outcome at this moment, which thus cannot be waited for.
    pub fn is_called(&self) -> bool {
        self.state.borrow().called
    }

    /// The outcome, once it has arrived. Its callback comes first, if it was put off.
    pub fn take(&self) -> Option<Outcome<R>> {
        self.callbacks.note(self.call());
        self.state.borrow_mut().outcome.take()
    }

    /// Calls whom the outcome concerns. From within another callback this only makes a note, or
    /// callbacks that wait for tasks would pile up on the stack.
    fn call_in_turn(self: &Rc<Self>) {
        if !self.state.borrow().is_due() {
            return;
        }
        let all = &self.callbacks;
        all.waiting.borrow_mut().push_back(Rc::clone(self));
        if all.running.replace(true) {
            return;
        }
        loop {
            let next = all.waiting.borrow_mut().pop_front();
            let Some(task) = next else { break };
            all.note(task.call());
        }
        all.running.set(false);
    }

    /// Calls whom the outcome concerns, at most once.
    fn call(&self) -> Result<(), Panic> {
        let (outcome, callback, error_callback) = {
            let mut state = self.state.borrow_mut();
            if !state.is_due() {
                return Ok(());
            }
            let Some(outcome) = state.outcome.take() else {
                return Ok(());
            };
            state.called = true;
            let (callback, error_callback) = match outcome {
                Ok(_) => (state.callback.take(), None),
                // Nobody waits: no time to call.
                Err(ref error) if **error == TaskError::Terminated => (None, None),
                Err(_) => (None, state.error_callback.take()),
            };
            state.heard |= error_callback.is_some();
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
        let mut state = self.state.borrow_mut();
        (state.outcome, state.called) = (Some(outcome), false);
        called
    }
}

impl<R> State<'_, R> {
    /// Whether the outcome is there, and somebody may want to be called with it.
    fn is_due(&self) -> bool {
        self.outcome.is_some() && (self.callback.is_some() || self.error_callback.is_some())
    }
}
