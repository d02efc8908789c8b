//! Worker processes that run tasks.
//!
//! Three kinds of process take part:
//!
//! - the **parent** puts tasks on a ring and takes outcomes from another one. It has no helper
//!   thread: it does this, and runs the callbacks, while one of its calls waits (`parent`);
//! - the **workers** take tasks from the first ring and put outcomes on the second (`worker`);
//! - the **supervisor**, forked with the pool, forks the workers and waits for their ends. It
//!   has no threads whatever the parent does, so it can always fork a replacement (`supervisor`).
//!
//! A worker writes down which task it has before that task is gone from the ring. So it is always
//! known whose task died with whom.

mod async_result;
mod callbacks;
mod error;
mod parent;
mod supervisor;
mod wire;
mod worker;

use std::borrow; // the trait by its path: its method would hide RefCell's
use std::cell::RefCell;
use std::collections::VecDeque;
use std::error::Error;
use std::fmt;
use std::iter;
use std::marker::PhantomData;
use std::panic::resume_unwind;
use std::rc::Rc;

use nix::unistd::getpid;
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use async_result::AsyncResult;
use callbacks::{Callbacks, Task};
use error::Outcome;
pub use error::{PoolError, TaskData, TaskError};

use crate::asleep::Deadlock;
use crate::codec::encode;
use crate::deadline::Deadline;
use crate::process::Process;
use crate::queue::DEFAULT_CAPACITY;
use parent::{Deliver, Parent};
use wire::{Batch, Shared};

/// The least useful capacity: room for an error message.
const LEAST_CAPACITY: usize = 4096;
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
/// The task function returns a `Result`: one that cannot fail, `anyhow::Ok(value)`. It is fixed
/// when the pool is made, and may capture what the workers inherit by
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
/// **Workers are copies of one process**, and so are those that replace them:
///
/// - A random number generator that was used before the pool is made, such as that of
///   `rand::rng()`, is copied with its state: all workers draw the same numbers, equal keys among
///   them. Reseed it in the worker (`rand::rng().reseed()`), or make a new one there, from the
///   system.
/// - What the program has opened stays open in them, and in the process that forks them, as long
///   as the pool lives: a task may have captured an open file. Close a pipe's end that others
///   wait for before the pool is made.
/// - Ctrl-C ends a worker unless the program had another disposition for `SIGINT` when the pool
///   was made. If the program goes on, the worker's task has an error that names the signal, and
///   a new worker takes its place.
///
/// **A result is decoded on the parent's stack**, without a limit: one that nests very deep, such
/// as a list of 200,000 boxes in each other, overflows it, which ends the program. Send such data
/// flat, as a `Vec`.
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
    parent: Rc<Parent<'cb, R>>,
    callbacks: Rc<Callbacks<'cb, R>>,
    argument: PhantomData<fn(A)>,
}

impl<'cb, A, R> Pool<'cb, A, R>
where
    A: Serialize + DeserializeOwned,
    R: Serialize + DeserializeOwned + 'cb,
{
    /// Starts `workers` processes that run `task`. A task returns a `Result`, so this does not
    /// compile, and the compiler says to wrap it in `Ok`; `anyhow::Ok` has the error's type, too:
    ///
    /// ```compile_fail,E0308
    /// let pool = common::Pool::new(4, |number: u64| number * number)?;
    /// # pool.apply(&1)?;
    /// # Ok::<(), anyhow::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`PoolError`], but not those of [`join`](Pool::join).
    #[track_caller]
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
    /// [`PoolError`], but not those of [`join`](Pool::join).
    #[track_caller]
    pub fn with_capacity<F, E>(workers: usize, capacity: usize, task: F) -> Result<Self, PoolError>
    where
        F: Fn(A) -> Result<R, E> + Sync,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        if workers == 0 {
            return Err(PoolError::NoWorkers);
        }
        let shared = Shared::new(capacity.max(LEAST_CAPACITY), workers)?;
        let program = getpid();
        let supervisor = Process::spawn("pool", || {
            supervisor::run(&shared, program, |slot| worker::run(&shared, slot, &task))
        })?;
        let parent = Parent::new(shared, workers, supervisor)?;
        Ok(Pool {
            parent: Rc::new(parent),
            callbacks: Callbacks::new(),
            argument: PhantomData,
        })
    }

    /// Runs one task and waits for its result. Python: `apply`.
    ///
    /// # Errors
    /// [`TaskError`].
    #[track_caller]
    pub fn apply(&self, argument: &A) -> Result<R, TaskError> {
        self.apply_async(argument).get()
    }

    /// Submits one task and returns at once. Python: `apply_async`.
    ///
    /// Tasks are started in the order of submission. Whatever is wrong, also with the argument,
    /// is the task's outcome. An error that nobody asks for is one of [`join`](Pool::join)'s.
    #[must_use = "an error of the task is not seen: get() it, or add an error_callback()"]
    pub fn apply_async(&self, argument: &A) -> AsyncResult<'cb, R> {
        let task = Task::new(Rc::clone(&self.callbacks));
        let receiver = Rc::clone(&task);
        self.submit_one(argument, Rc::new(move |_, it| receiver.deliver(it)));
        AsyncResult::new(Rc::clone(&self.parent), task)
    }

    /// Runs a task for each item and waits for all results, which come in the order of the items.
    /// Python: `map`. A worker is handed several items at a time (a chunk).
    ///
    /// # Errors
    /// The [`TaskError`] of the first item that has one, when all others are done.
    #[track_caller]
    pub fn map<I>(&self, items: I) -> Result<Vec<R>, TaskError>
    where
        I: IntoIterator<Item: borrow::Borrow<A>>,
    {
        let deadline = Deadline::never();
        let items: Vec<_> = items.into_iter().collect();
        let chunk = items
            .len()
            .div_ceil(self.parent.workers() * CHUNKS_PER_WORKER)
            .max(1);
        let largest = self.parent.capacity() / 32;

        let outcomes = Rc::new(RefCell::new(Outcomes::new(items.len())));
        let deliver_from = |start: usize| -> Deliver<'cb, R> {
            let outcomes = Rc::clone(&outcomes);
            Rc::new(move |index, outcome| outcomes.borrow_mut().add(start + index, outcome))
        };

        let mut batch = Batch::new();
        for (index, item) in items.iter().enumerate() {
            let (item, before) = (borrow::Borrow::<A>::borrow(item), batch.len());
            let mut pushed = push(&mut batch, item);
            if pushed.is_ok() && batch.len() > largest && batch.count() > 1 {
                batch.undo(before); // it goes with the next chunk
                pushed = push(
                    self.submit_chunk(&mut batch, index, deliver_from, deadline)?,
                    item,
                );
            }
            if let Err(error) = pushed {
                self.submit_chunk(&mut batch, index, deliver_from, deadline)?;
                self.parent.refuse(&deliver_from(index), 0..1, &error);
            } else if batch.count() == chunk {
                self.submit_chunk(&mut batch, index + 1, deliver_from, deadline)?;
            }
        }
        self.submit_chunk(&mut batch, items.len(), deliver_from, deadline)?;

        while outcomes.borrow().missing > 0 {
            self.parent.step(deadline)?;
        }
        outcomes.replace(Outcomes::new(0)).finish()
    }

    /// Runs a task for each item and yields the outcomes as they come. Python: `imap_unordered`.
    ///
    /// It takes items as workers become free for them, so there may be any number of them. Dropped
    /// early, it takes no more; the outcomes of those under way are lost, errors among them.
    /// [`TaskError::Deadlock`] is the last.
    #[track_caller]
    pub fn imap_unordered<I>(
        &self,
        items: I,
    ) -> impl Iterator<Item = Result<R, TaskError>> + use<'cb, '_, A, R, I>
    where
        I: IntoIterator<Item: borrow::Borrow<A>>,
    {
        let mut items = items.into_iter().fuse();
        let arrived = Rc::new(RefCell::new(VecDeque::new()));
        let mut under_way = 0;
        let deadline = Deadline::never();
        let mut over = false;
        iter::from_fn(move || {
            while !over
                && under_way < self.parent.workers() * ITEMS_AHEAD
                && let Some(item) = items.next()
            {
                let receiver = Rc::clone(&arrived);
                let deliver: Deliver<'cb, R> =
                    Rc::new(move |_, outcome| receiver.borrow_mut().push_back(outcome));
                self.submit_one(borrow::Borrow::borrow(&item), deliver);
                under_way += 1;
            }
            while !over && under_way > 0 && arrived.borrow().is_empty() {
                if let Err(deadlock) = self.parent.step(deadline) {
                    over = true;
                    return Some(Err(deadlock.into()));
                }
            }
            under_way = under_way.saturating_sub(1);
            let outcome = arrived.borrow_mut().pop_front()?;
            Some(outcome.map_err(|error| *error))
        })
    }

    /// Submits a batch, unless it is empty, that ends before the item at `end`, and begins another.
    fn submit_chunk<'a>(
        &self,
        batch: &'a mut Batch,
        end: usize,
        deliver_from: impl Fn(usize) -> Deliver<'cb, R>,
        deadline: Deadline,
    ) -> Result<&'a mut Batch, Deadlock> {
        let full = std::mem::replace(batch, Batch::new());
        if full.count() > 0 {
            let start = end - full.count();
            // As the ring has room for them, or all would lie in memory at once.
            while self.parent.has_backlog() {
                self.parent.step(deadline)?;
            }
            self.parent.submit(full, deliver_from(start));
        }
        Ok(batch)
    }

    fn submit_one(&self, argument: &A, deliver: Deliver<'cb, R>) {
        let mut batch = Batch::new();
        match push(&mut batch, argument) {
            Ok(()) => self.parent.submit(batch, deliver),
            Err(error) => self.parent.refuse(&deliver, 0..1, &error),
        }
    }
}

fn push<A: Serialize>(batch: &mut Batch, argument: &A) -> Result<(), TaskError> {
    let (before, mut encoded) = (batch.len(), Ok(()));
    batch.push(|bytes| encoded = encode(argument, bytes));
    encoded.map_err(|error| {
        batch.undo(before);
        TaskError::Encode(TaskData::Argument, error.to_string())
    })
}

/// What `map` has of its outcomes.
struct Outcomes<R> {
    results: Vec<Option<R>>,
    missing: usize,
    /// That of the first item that has one.
    error: Option<(usize, Box<TaskError>)>,
}

impl<R> Outcomes<R> {
    fn new(items: usize) -> Self {
        Outcomes {
            results: iter::repeat_with(|| None).take(items).collect(),
            missing: items,
            error: None,
        }
    }

    fn add(&mut self, item: usize, outcome: Outcome<R>) {
        self.missing -= 1;
        match outcome {
            Ok(result) => self.results[item] = Some(result),
            Err(error) => match &self.error {
                Some((first, _)) if *first < item => {}
                _ => self.error = Some((item, error)),
            },
        }
    }

    fn finish(self) -> Result<Vec<R>, TaskError> {
        match self.error {
            Some((_, error)) => Err(*error),
            None => Ok(self.results.into_iter().flatten().collect()),
        }
    }
}

impl<A, R: DeserializeOwned> Pool<'_, A, R> {
    /// Takes no more tasks; those submitted are done. Python: `close`.
    pub fn close(&self) {
        self.parent.close();
    }

    /// Closes the pool, waits until all tasks are done and their callbacks have run, and ends the
    /// workers. Python: `close`, then `join`.
    ///
    /// # Errors
    /// [`PoolError::Ended`] when the pool ended before the tasks; each of them has an error then.
    /// [`PoolError::Unheard`] when tasks of `apply_async` failed and nobody has asked for their
    /// errors.
    ///
    /// # Panics
    /// With the first panic of a callback, after all this is done.
    #[track_caller]
    pub fn join(self) -> Result<(), PoolError> {
        let ended = self.parent.finish(Deadline::never());
        if let Some(panic) = self.callbacks.take_panic() {
            resume_unwind(panic);
        }
        ended?;
        match self.callbacks.take_unheard() {
            Some((count, first)) => Err(PoolError::Unheard { count, first }),
            None => Ok(()),
        }
    }

    /// Ends the workers at once. What they had not finished gets [`TaskError::Terminated`],
    /// without a call of its callbacks. Python: `terminate`. Dropping the pool does the same.
    pub fn terminate(self) {}
}

impl<A, R> fmt::Debug for Pool<'_, A, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("workers", &self.parent.workers())
            .finish_non_exhaustive()
    }
}

impl<A, R> Drop for Pool<'_, A, R> {
    fn drop(&mut self) {
        self.parent.end();
    }
}
