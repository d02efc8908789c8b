//! Worker processes that run tasks.
//!
//! Three kinds of process take part:
//!
//! - the **parent** puts tasks on a ring and takes outcomes from another one. It has no helper
//!   thread: it does this, and runs the callbacks, while one of its calls waits;
//! - the **workers** take tasks from the first ring and put outcomes on the second (`worker`);
//! - the **supervisor**, forked with the pool, forks the workers and waits for their ends. It
//!   has no threads whatever the parent does, so it can always fork a replacement (`supervisor`).
//!
//! A worker writes down which task it has before that task is gone from the ring. So it is always
//! known whose task died with whom.

mod supervisor;
mod wire;
mod worker;

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::error::Error;
use std::io;
use std::iter;
use std::marker::PhantomData;
use std::ops::Range;
use std::os::unix::process::ExitStatusExt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process::ExitStatus;
use std::rc::Rc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::codec::decode;
use crate::deadline::{Deadline, LONGEST_SLEEP};
use crate::process::{Process, ProcessError, SpawnError};
use crate::queue::DEFAULT_CAPACITY;
use crate::ring::RingError;
use wire::{Batch, Notice, Shared};

/// How often to offer waiting tasks to a full ring while no outcome arrives.
const FEED_INTERVAL: Duration = Duration::from_millis(2);
/// The least useful capacity: room for an error message.
const LEAST_CAPACITY: usize = 4096;
/// How long a pool that is dropped waits for its supervisor to end the workers in good order.
const PATIENCE: Duration = Duration::from_secs(1);
/// `map` divides its items so that each worker gets about this many chunks: enough for an even
/// load, few enough that handing them out costs little. CPython's number.
const CHUNKS_PER_WORKER: usize = 4;
/// `imap_unordered` has this many items per worker under way.
const ITEMS_AHEAD: usize = 16;

/// A pool of worker processes, all running the same task function.
///
/// Python: `multiprocessing.Pool`. System: forked processes and two rings in shared memory, as
/// under [`Queue`](crate::Queue).
///
/// The task function is fixed when the pool is made, and may capture what the workers inherit by
/// the fork: a [`Value`](crate::Value), a [`Lock`](crate::Lock), a proxy of a
/// [`Manager`](crate::Manager). Its argument `A` and its result `R` are copied between the
/// processes and can be any serde type.
///
/// **Every task gets exactly one outcome**, its result or a [`TaskError`]. A worker that dies, in
/// whatever way, costs the task that it had in hand (of [`map`](Pool::map), what was left of its
/// chunk); it is replaced, and the other tasks go on.
///
/// **Callbacks run in the parent, on the calling thread**, while one of this pool's calls waits:
/// they need no lock and may borrow (`'cb`). A callback that panics is reported by the panic hook
/// at once, costs no other task its outcome, and its panic goes on in [`join`](Pool::join).
///
/// Dropping a pool ends its workers at once; [`join`](Pool::join) lets them finish.
///
/// ```
/// use common::Pool;
///
/// let pool = Pool::new(4, |number: u64| anyhow::Ok(number * number))?;
/// assert_eq!(pool.apply(&7)?, 49);
/// assert_eq!(pool.map(1..=5)?, [1, 4, 9, 16, 25]);
/// pool.join()?;
/// # Ok::<(), anyhow::Error>(())
/// ```
pub struct Pool<'cb, A, R> {
    inner: Rc<Inner<'cb, R>>,
    argument: PhantomData<fn(A)>,
}

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
    /// The system refused.
    #[error("the system cannot give memory to the pool")]
    System(#[from] io::Error),
}

/// Why a task has no result. It says what went wrong in plain words, since the error itself
/// happened in another process.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[non_exhaustive]
pub enum TaskError {
    /// The task returned an error: its message, with its causes.
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
    Encode(String, String),
    /// The argument or the result cannot be decoded.
    #[error("{0} cannot be decoded: {1}")]
    Decode(String, String),
    /// The argument or the result is too large.
    #[error(
        "{what} takes {size} bytes, too large for this pool of {capacity} bytes: make the pool \
         with Pool::with_capacity"
    )]
    TooLarge {
        /// Which of the two.
        what: String,
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
    /// The pool can run no more tasks.
    #[error("the pool has failed: {0}")]
    #[serde(skip)]
    PoolFailed(String),
}

/// Receives the outcomes of one submission, by their index in it. Its error is a callback's panic.
type Deliver<'cb, R> =
    Box<dyn FnMut(usize, Result<R, TaskError>) -> Result<(), Box<dyn Any + Send>> + 'cb>;

struct Inner<'cb, R> {
    shared: Shared,
    workers: usize,
    supervisor: RefCell<Process>,
    /// Submissions that wait for outcomes.
    pending: RefCell<HashMap<u64, Pending<'cb, R>>>,
    /// Tasks for which the ring had no room yet.
    backlog: RefCell<VecDeque<Vec<u8>>>,
    last_id: Cell<u64>,
    closed: Cell<bool>,
    /// Why no outcome will come any more.
    over: RefCell<Option<TaskError>>,
    /// The first panic of a callback.
    panic: RefCell<Option<Box<dyn Any + Send>>>,
}

struct Pending<'cb, R> {
    delivered: usize,
    count: usize,
    deliver: Deliver<'cb, R>,
}

impl<'cb, A, R> Pool<'cb, A, R>
where
    A: Serialize + DeserializeOwned,
    R: Serialize + DeserializeOwned + 'cb,
{
    /// Starts `workers` processes that run `task`.
    ///
    /// # Errors
    /// [`PoolError`], but not [`PoolError::Ended`].
    pub fn new<F, E>(workers: usize, task: F) -> Result<Self, PoolError>
    where
        F: Fn(A) -> Result<R, E> + Sync,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        Self::with_capacity(workers, DEFAULT_CAPACITY, task)
    }

    /// Like [`new`](Pool::new), for arguments and results of up to `capacity` bytes when encoded,
    /// less some 20 bytes.
    ///
    /// # Errors
    /// [`PoolError`], but not [`PoolError::Ended`].
    pub fn with_capacity<F, E>(workers: usize, capacity: usize, task: F) -> Result<Self, PoolError>
    where
        F: Fn(A) -> Result<R, E> + Sync,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        if workers == 0 {
            return Err(PoolError::NoWorkers);
        }
        let shared = Shared::new(capacity.max(LEAST_CAPACITY), workers)?;
        let supervisor = Process::spawn("pool", || {
            supervisor::run(&shared, |slot| worker::run(&shared, slot, &task))
        })?;
        let inner = Inner {
            shared,
            workers,
            supervisor: RefCell::new(supervisor),
            pending: RefCell::default(),
            backlog: RefCell::default(),
            last_id: Cell::new(0),
            closed: Cell::new(false),
            over: RefCell::default(),
            panic: RefCell::default(),
        };
        inner.wait_for_start()?;
        Ok(Pool {
            inner: Rc::new(inner),
            argument: PhantomData,
        })
    }

    /// Runs one task and waits for its result. Python: `apply`.
    ///
    /// # Errors
    /// [`TaskError`].
    pub fn apply(&self, argument: &A) -> Result<R, TaskError> {
        self.apply_async(argument).get()
    }

    /// Submits one task and returns at once. Python: `apply_async`.
    ///
    /// Tasks are started in the order of submission. Whatever is wrong, also with the argument,
    /// is the task's outcome.
    pub fn apply_async(&self, argument: &A) -> AsyncResult<'cb, R> {
        let state = Rc::new(RefCell::new(State::default()));
        let receiver = Rc::clone(&state);
        let mut deliver: Deliver<'cb, R> = Box::new(move |_, outcome| settle(&receiver, outcome));
        let mut batch = Batch::new();
        match batch.push(argument) {
            Ok(()) => self.inner.submit(batch, deliver),
            Err(error) => self.inner.refuse(&mut deliver, 0..1, &error),
        }
        AsyncResult {
            inner: Rc::clone(&self.inner),
            state,
        }
    }

    /// Runs a task for each item and waits for all results, which come in the order of the items.
    /// Python: `map`. A worker is handed several items at a time (a chunk).
    ///
    /// # Errors
    /// The [`TaskError`] of the first item that has one, when all others are done.
    pub fn map<I>(&self, items: I) -> Result<Vec<R>, TaskError>
    where
        I: IntoIterator<Item: std::borrow::Borrow<A>>,
    {
        let items: Vec<_> = items.into_iter().collect();
        let chunk = items
            .len()
            .div_ceil(self.inner.workers * CHUNKS_PER_WORKER)
            .max(1);
        let largest = self.inner.shared.tasks.capacity() / 8;

        let mut results: Vec<Option<Result<R, TaskError>>> = Vec::new();
        results.resize_with(items.len(), || None);
        let (results, missing) = (
            Rc::new(RefCell::new(results)),
            Rc::new(Cell::new(items.len())),
        );
        let deliver_from = |start: usize| -> Deliver<'cb, R> {
            let (results, missing) = (Rc::clone(&results), Rc::clone(&missing));
            Box::new(move |index, outcome| {
                results.borrow_mut()[start + index] = Some(outcome);
                missing.set(missing.get() - 1);
                Ok(())
            })
        };

        let mut batch = Batch::new();
        for (index, item) in items.iter().enumerate() {
            if batch.count() == chunk || batch.len() > largest {
                let full = std::mem::replace(&mut batch, Batch::new());
                self.inner.submit_counted(full, index, deliver_from);
            }
            if let Err(error) = batch.push::<A>(std::borrow::Borrow::borrow(item)) {
                let before = std::mem::replace(&mut batch, Batch::new());
                self.inner.submit_counted(before, index, deliver_from);
                self.inner.refuse(&mut deliver_from(index), 0..1, &error);
            }
        }
        self.inner.submit_counted(batch, items.len(), deliver_from);

        while missing.get() > 0 {
            self.inner.step(Deadline::NEVER);
        }
        results.take().into_iter().flatten().collect()
    }

    /// Runs a task for each item and yields the outcomes as they come. Python: `imap_unordered`.
    ///
    /// It takes items as workers become free for them, so there may be any number of them.
    pub fn imap_unordered<I>(
        &self,
        items: I,
    ) -> impl Iterator<Item = Result<R, TaskError>> + use<'cb, '_, A, R, I>
    where
        I: IntoIterator<Item: std::borrow::Borrow<A>>,
    {
        let mut items = items.into_iter().fuse();
        let arrived = Rc::new(RefCell::new(VecDeque::new()));
        let mut under_way = 0;
        iter::from_fn(move || {
            while under_way < self.inner.workers * ITEMS_AHEAD
                && let Some(item) = items.next()
            {
                let receiver = Rc::clone(&arrived);
                let mut deliver: Deliver<'cb, R> = Box::new(move |_, outcome| {
                    receiver.borrow_mut().push_back(outcome);
                    Ok(())
                });
                let mut batch = Batch::new();
                match batch.push::<A>(std::borrow::Borrow::borrow(&item)) {
                    Ok(()) => self.inner.submit(batch, deliver),
                    Err(error) => self.inner.refuse(&mut deliver, 0..1, &error),
                }
                under_way += 1;
            }
            while under_way > 0 && arrived.borrow().is_empty() {
                self.inner.step(Deadline::NEVER);
            }
            under_way = under_way.saturating_sub(1);
            arrived.borrow_mut().pop_front()
        })
    }
}

impl<A, R: DeserializeOwned> Pool<'_, A, R> {
    /// Takes no more tasks; those submitted are done. Python: `close`.
    pub fn close(&self) {
        self.inner.closed.set(true);
        self.inner.feed();
    }

    /// Closes the pool, waits until all tasks are done and their callbacks have run, and ends the
    /// workers. Python: `close`, then `join`.
    ///
    /// # Errors
    /// [`PoolError::Ended`] when the pool ended before the tasks; each of them has an error then.
    ///
    /// # Panics
    /// With the first panic of a callback, after all this is done.
    pub fn join(self) -> Result<(), PoolError> {
        self.close();
        while !self.inner.pending.borrow().is_empty() {
            self.inner.step(Deadline::NEVER);
        }
        let status = self.inner.supervisor.borrow_mut().join();
        if let Some(panic) = self.inner.panic.take() {
            resume_unwind(panic);
        }
        match (self.inner.over.take(), status) {
            (Some(error), _) => Err(PoolError::Ended(error.to_string())),
            (None, Ok(status)) if status.success() => Ok(()),
            (None, Ok(status)) => Err(PoolError::Ended(format!("its supervisor ended: {status}"))),
            (None, Err(error)) => Err(PoolError::Ended(error.to_string())),
        }
    }

    /// Ends the workers at once. What they had not finished gets [`TaskError::Terminated`],
    /// without a call of its callbacks. Python: `terminate`. Dropping the pool does the same.
    pub fn terminate(self) {}
}

impl<A, R> Drop for Pool<'_, A, R> {
    fn drop(&mut self) {
        let mut supervisor = self.inner.supervisor.borrow_mut();
        // Asked to, it ends its workers and reaps them; killed, it would leave that to init.
        let ended = supervisor
            .terminate()
            .and_then(|()| supervisor.join_timeout(PATIENCE));
        if let Ok(None) = ended {
            let _ = supervisor.kill().and_then(|()| supervisor.join());
        }
        drop(supervisor);
        self.inner.closed.set(true);
        self.inner.fail_all(&TaskError::Terminated);
    }
}

/// A task that was submitted with [`Pool::apply_async`]. Python: `AsyncResult`.
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
    inner: Rc<Inner<'cb, R>>,
    state: Rc<RefCell<State<'cb, R>>>,
}

type Callback<'cb, T> = Box<dyn FnOnce(&T) + 'cb>;

struct State<'cb, R> {
    outcome: Option<Result<R, TaskError>>,
    callback: Option<Callback<'cb, R>>,
    error_callback: Option<Callback<'cb, TaskError>>,
}

impl<R> Default for State<'_, R> {
    fn default() -> Self {
        State {
            outcome: None,
            callback: None,
            error_callback: None,
        }
    }
}

impl<'cb, R: DeserializeOwned> AsyncResult<'cb, R> {
    /// Calls `callback` with the result when it arrives, if it does. At once, if it has.
    pub fn callback(self, callback: impl FnOnce(&R) + 'cb) -> Self {
        self.state.borrow_mut().callback = Some(Box::new(callback));
        self.catch_up()
    }

    /// Calls `callback` with the error when it arrives, if it does. At once, if it has.
    pub fn error_callback(self, callback: impl FnOnce(&TaskError) + 'cb) -> Self {
        self.state.borrow_mut().error_callback = Some(Box::new(callback));
        self.catch_up()
    }

    /// Waits for the task's result.
    ///
    /// # Errors
    /// [`TaskError`].
    pub fn get(self) -> Result<R, TaskError> {
        match self.get_until(Deadline::NEVER) {
            Ok(outcome) => outcome,
            // A wait without a limit ends with an outcome.
            Err(_) => Err(TaskError::PoolFailed("no outcome".into())),
        }
    }

    /// Waits for the task's outcome for at most `limit`.
    ///
    /// # Errors
    /// Itself, while the task is not done.
    pub fn get_timeout(self, limit: Duration) -> Result<Result<R, TaskError>, Self> {
        self.get_until(Deadline::after(limit))
    }

    /// Whether the task is done, so that [`get`](AsyncResult::get) returns at once.
    pub fn ready(&self) -> bool {
        if self.state.borrow().outcome.is_none() {
            self.inner.step(Deadline::after(Duration::ZERO));
        }
        self.state.borrow().outcome.is_some()
    }

    fn get_until(self, deadline: Deadline) -> Result<Result<R, TaskError>, Self> {
        loop {
            if let Some(outcome) = self.state.borrow_mut().outcome.take() {
                return Ok(outcome);
            }
            self.inner.step(deadline);
            if deadline.has_passed() && self.state.borrow().outcome.is_none() {
                return Err(self);
            }
        }
    }

    /// For a callback that was given after the outcome had arrived.
    fn catch_up(self) -> Self {
        let outcome = self.state.borrow_mut().outcome.take();
        if let Some(outcome) = outcome {
            self.inner.note(settle(&self.state, outcome));
        }
        self
    }
}

/// Calls the callback, then keeps the outcome.
fn settle<R>(
    state: &RefCell<State<'_, R>>,
    outcome: Result<R, TaskError>,
) -> Result<(), Box<dyn Any + Send>> {
    let (callback, error_callback) = {
        let mut state = state.borrow_mut();
        match outcome {
            Ok(_) => (state.callback.take(), None),
            // Nobody waits: no time to call.
            Err(TaskError::Terminated) => (None, None),
            Err(_) => (None, state.error_callback.take()),
        }
    };
    let called = catch_unwind(AssertUnwindSafe(|| {
        match (&outcome, callback, error_callback) {
            (Ok(result), Some(callback), _) => callback(result),
            (Err(error), _, Some(callback)) => callback(error),
            _ => {}
        }
    }));
    state.borrow_mut().outcome = Some(outcome);
    called
}

impl<'cb, R> Inner<'cb, R> {
    /// Hands a batch to the workers, or keeps it until there is room for it.
    fn submit(&self, batch: Batch, mut deliver: Deliver<'cb, R>) {
        let count = batch.count();
        let refusal = if self.closed.get() {
            Some(TaskError::Closed)
        } else {
            None
        };
        if let Some(error) = self.over.borrow().clone().or(refusal) {
            return self.refuse(&mut deliver, 0..count, &error);
        }
        let id = self.last_id.get() + 1;
        self.last_id.set(id);
        let message = batch.finish(id);
        let capacity = self.shared.tasks.capacity();
        if message.len() > capacity {
            let what = "the argument".to_owned();
            return self.refuse(
                &mut deliver,
                0..count,
                &TaskError::TooLarge {
                    what,
                    size: message.len(),
                    capacity,
                },
            );
        }
        self.pending.borrow_mut().insert(
            id,
            Pending {
                delivered: 0,
                count,
                deliver,
            },
        );
        self.backlog.borrow_mut().push_back(message);
        self.feed();
    }

    /// Submits a batch, unless it is empty, that ends before the item at `end`.
    fn submit_counted(
        &self,
        batch: Batch,
        end: usize,
        deliver_from: impl Fn(usize) -> Deliver<'cb, R>,
    ) {
        if batch.count() > 0 {
            let start = end - batch.count();
            self.submit(batch, deliver_from(start));
        }
    }

    /// Gives the error to these tasks of a submission.
    fn refuse(&self, deliver: &mut Deliver<'cb, R>, tasks: Range<usize>, error: &TaskError) {
        for index in tasks {
            self.note(deliver(index, Err(error.clone())));
        }
    }

    /// Remembers the first panic of a callback.
    fn note(&self, called: Result<(), Box<dyn Any + Send>>) {
        if let Err(panic) = called {
            let mut first = self.panic.borrow_mut();
            if first.is_none() {
                *first = Some(panic);
            } else {
                // Dropping somebody's payload may panic once more.
                std::mem::forget(panic);
            }
        }
    }

    /// Moves tasks from the backlog to the ring, as far as there is room.
    fn feed(&self) {
        let mut backlog = self.backlog.borrow_mut();
        while let Some(message) = backlog.front() {
            match self
                .shared
                .tasks
                .put(message, Deadline::after(Duration::ZERO))
            {
                Ok(()) => drop(backlog.pop_front()),
                // Full. Any other error shows when the outcomes fail to come.
                Err(_) => return,
            }
        }
        if self.closed.get() {
            self.shared.tasks.close();
        }
    }

    /// Gives every pending task this error, and every later one.
    fn fail_all(&self, error: &TaskError) {
        self.over.borrow_mut().get_or_insert_with(|| error.clone());
        self.backlog.borrow_mut().clear();
        for (_, mut task) in self.pending.take() {
            self.refuse(&mut task.deliver, task.delivered..task.count, error);
        }
    }

    fn supervisor_status(&self) -> Result<Option<ExitStatus>, ProcessError> {
        let mut supervisor = self.supervisor.borrow_mut();
        if supervisor.is_alive()? {
            return Ok(None);
        }
        supervisor.join().map(Some)
    }
}

impl<R: DeserializeOwned> Inner<'_, R> {
    fn wait_for_start(&self) -> Result<(), PoolError> {
        let mut message = Vec::new();
        loop {
            match self
                .shared
                .results
                .get(&mut message, Deadline::after(LONGEST_SLEEP), &())
            {
                Ok(()) => {
                    return match Notice::parse(&message) {
                        Some(Notice::Broken(reason)) => Err(PoolError::Workers(reason)),
                        _ => Ok(()),
                    };
                }
                Err(RingError::TimedOut) => {}
                Err(error) => return Err(PoolError::Workers(error.to_string())),
            }
            if let Ok(Some(status)) = self.supervisor_status() {
                return Err(PoolError::Workers(format!(
                    "its supervisor ended: {status}"
                )));
            }
        }
    }

    /// Waits for something to arrive and delivers it, with all else that has.
    fn step(&self, deadline: Deadline) {
        self.feed();
        let pause = if self.backlog.borrow().is_empty() {
            LONGEST_SLEEP
        } else {
            FEED_INTERVAL
        };
        let mut message = Vec::new();
        let mut arrived = self
            .shared
            .results
            .get(&mut message, deadline.within(pause), &());
        if arrived.is_err() {
            // Before looking for more: it may have put its last notice just now.
            if let Ok(Some(status)) = self.supervisor_status() {
                arrived =
                    self.shared
                        .results
                        .get(&mut message, Deadline::after(Duration::ZERO), &());
                if arrived.is_err() {
                    let reason = format!("its supervisor ended: {status}");
                    return self.fail_all(&TaskError::PoolFailed(reason));
                }
            }
        }
        while arrived.is_ok() {
            self.deliver(&message);
            self.feed();
            arrived = self
                .shared
                .results
                .get(&mut message, Deadline::after(Duration::ZERO), &());
        }
    }

    /// Gives the outcomes in a message to whoever submitted their tasks.
    fn deliver(&self, message: &[u8]) {
        match Notice::parse(message) {
            Some(Notice::Started) => return,
            Some(Notice::Broken(reason)) => return self.fail_all(&TaskError::PoolFailed(reason)),
            Some(Notice::Died { task, pid, status }) => {
                // Nothing is pending if it had sent the last outcome.
                let lost = self.pending.borrow_mut().remove(&task);
                if let Some(mut lost) = lost {
                    let error = TaskError::WorkerDied {
                        pid,
                        status: ExitStatus::from_raw(status),
                    };
                    self.refuse(&mut lost.deliver, lost.delivered..lost.count, &error);
                }
                return;
            }
            None => {}
        }
        let (id, outcomes) = wire::parse(message);
        // Taken out, as a callback may come here again. Only a submission of several tasks is put
        // back, and that has no callbacks.
        let Some(mut task) = self.pending.borrow_mut().remove(&id) else {
            return;
        };
        for bytes in outcomes {
            let outcome = decode::<Result<R, TaskError>>(bytes)
                .unwrap_or_else(|error| Err(TaskError::Decode("the result".into(), error)));
            let index = task.delivered;
            task.delivered += 1;
            self.note((task.deliver)(index, outcome));
        }
        if task.delivered < task.count {
            self.pending.borrow_mut().insert(id, task);
        }
    }
}
