//! The parent's part: it hands out tasks and delivers their outcomes, while one of its calls waits.

use std::cell::{Cell, RefCell};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::rc::Rc;
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::error::{Outcome, PoolError, TaskData, TaskError};
use super::supervisor::LOOK;
use super::wire::{self, Batch, Notice, Shared};
use crate::asleep::{self, Deadlock, Look, Upon};
use crate::codec::decode;
use crate::deadline::{Deadline, LONGEST_SLEEP};
use crate::identity::own_pid;
use crate::points::{self, Act, Points};
use crate::process::{Process, ProcessError};
use crate::ring::RingError;

/// How long a pool that is dropped waits for its supervisor to end the workers in good order.
const PATIENCE: Duration = Duration::from_secs(1);
/// So many messages are delivered before looking at the time again.
const MESSAGES_A_STEP: usize = 64;
/// How often to offer waiting tasks to a full ring while no outcome arrives.
const FEED_INTERVAL: Duration = Duration::from_millis(2);

/// Receives the outcomes of one submission, by their index in it.
pub(super) type Deliver<'cb, R> = Rc<dyn Fn(usize, Outcome<R>) + 'cb>;

/// A pool, whatever the type of its arguments.
pub(super) struct Parent<'cb, R> {
    shared: Shared,
    workers: usize,
    pid: u32,
    supervisor: RefCell<Process>,
    /// Submissions that wait for outcomes. Those next to each other are done at about the same
    /// time, so a tree's cache misses are fewer than a hash table's.
    pending: RefCell<BTreeMap<u64, Pending<'cb, R>>>,
    /// Tasks for which the ring had no room yet.
    backlog: RefCell<VecDeque<Vec<u8>>>,
    last_id: Cell<u64>,
    closed: Cell<bool>,
    /// Why no outcome will come any more.
    over: RefCell<Option<TaskError>>,
}

/// What a step finds.
enum Step {
    /// A message.
    Arrived,
    /// That the ring has taken a task.
    Fed,
    /// How the supervisor has ended.
    Ended(String),
}

struct Pending<'cb, R> {
    arrived: usize,
    count: usize,
    deliver: Deliver<'cb, R>,
}

impl<'cb, R> Parent<'cb, R> {
    pub fn capacity(&self) -> usize {
        self.shared.tasks.capacity()
    }

    pub fn workers(&self) -> usize {
        self.workers
    }

    /// Whether there are tasks that the ring has no room for.
    pub fn has_backlog(&self) -> bool {
        !self.backlog.borrow().is_empty()
    }

    pub fn close(&self) {
        if self.is_a_copy() {
            return; // the ring is the other's
        }
        self.closed.set(true);
        self.feed();
    }

    /// Ends the workers, whatever they do.
    pub fn end(&self) {
        let mut supervisor = self.supervisor.borrow_mut();
        // Asked to, it ends its workers and reaps them; killed, it would leave that to init.
        let ended = match supervisor.terminate() {
            Ok(()) => supervisor.join_timeout(PATIENCE),
            // This process has become another user, who may not signal it.
            Err(ProcessError::System(_)) => {
                self.shared.tasks.close();
                self.shared.results.close();
                supervisor.join_timeout(PATIENCE + LOOK)
            }
            Err(error) => Err(error),
        };
        if !matches!(ended, Ok(Some(_))) {
            let _ = supervisor.kill().and_then(|()| supervisor.join());
        }
        drop(supervisor);
        self.closed.set(true);
        self.fail_all(&TaskError::Terminated);
    }

    /// Hands a batch to the workers, or keeps it until there is room for it.
    pub fn submit(&self, mut batch: Batch, deliver: Deliver<'cb, R>) {
        let count = batch.count();
        if let Some(error) = self.refusal() {
            return self.refuse(&deliver, 0..count, &error);
        }
        let id = self.last_id.get() + 1;
        self.last_id.set(id);
        batch.set_id(id);
        let message = batch.into_bytes();
        let capacity = self.shared.tasks.capacity();
        if message.len() > capacity {
            let (what, size) = (TaskData::Argument, message.len());
            let error = TaskError::TooLarge {
                what,
                size,
                capacity,
            };
            return self.refuse(&deliver, 0..count, &error);
        }
        let points = Points::of(Act::Put, self.shared.tasks.object().id(), Deadline::NOW);
        points.before();
        self.pending.borrow_mut().insert(
            id,
            Pending {
                arrived: 0,
                count,
                deliver,
            },
        );
        self.backlog.borrow_mut().push_back(message);
        self.feed();
        points.after_item(points::Outcome::Done, id as u32);
    }

    /// Why no task can be submitted.
    fn refusal(&self) -> Option<TaskError> {
        if self.is_a_copy() {
            let reason = "it belongs to another process, whose copy this is";
            return Some(TaskError::PoolFailed(reason.into()));
        }
        let over = self.over.borrow().clone();
        over.or_else(|| self.closed.get().then_some(TaskError::Closed))
    }

    /// Gives the error to these tasks of a submission.
    pub fn refuse(&self, deliver: &Deliver<'cb, R>, tasks: Range<usize>, error: &TaskError) {
        for index in tasks {
            deliver(index, Err(Box::new(error.clone())));
        }
    }

    /// Moves tasks from the backlog to the ring, as far as there is room; whether it could.
    fn feed(&self) -> bool {
        let mut backlog = self.backlog.borrow_mut();
        let before = backlog.len();
        while let Some(message) = backlog.front() {
            match self.shared.tasks.put(message, Deadline::NOW) {
                Ok(_) => drop(backlog.pop_front()),
                // Full. Any other error shows when the outcomes fail to come.
                Err(_) => return backlog.len() < before,
            }
        }
        if self.closed.get() {
            self.shared.tasks.close();
        }
        backlog.len() < before
    }

    /// Gives every pending task this error, and every later one.
    fn fail_all(&self, error: &TaskError) {
        self.over.borrow_mut().get_or_insert_with(|| error.clone());
        self.backlog.borrow_mut().clear();
        loop {
            // One by one: a callback may wait for the next, and comes here again for it.
            let next = self.pending.borrow_mut().pop_first();
            let Some((_, task)) = next else { return };
            self.refuse(&task.deliver, task.arrived..task.count, error);
        }
    }

    /// How the supervisor has ended, if it has.
    fn supervisor_end(&self) -> Option<String> {
        let mut supervisor = self.supervisor.borrow_mut();
        if let Ok(true) = supervisor.is_alive() {
            return None;
        }
        Some(match supervisor.join() {
            Ok(status) => format!("its supervisor ended: {status}"),
            Err(error) => format!("its supervisor ended: {error}"),
        })
    }

    /// Whether this process is a fork of the one that has the pool.
    fn is_a_copy(&self) -> bool {
        own_pid() != self.pid
    }
}

impl<'cb, R: DeserializeOwned> Parent<'cb, R> {
    /// Waits until all workers are started.
    pub fn new(shared: Shared, workers: usize, supervisor: Process) -> Result<Self, PoolError> {
        let parent = Parent {
            shared,
            workers,
            pid: own_pid(),
            supervisor: RefCell::new(supervisor),
            pending: RefCell::default(),
            backlog: RefCell::default(),
            last_id: Cell::new(0),
            closed: Cell::new(false),
            over: RefCell::default(),
        };
        parent.wait_for_start()?;
        Ok(parent)
    }

    /// Closes the pool and waits for the end of its tasks and its processes.
    pub fn finish(&self, deadline: Deadline) -> Result<(), PoolError> {
        self.close();
        while !self.pending.borrow().is_empty() {
            self.step(deadline).map_err(PoolError::Deadlock)?;
        }
        let status = self.supervisor.borrow_mut().join();
        match (self.over.take(), status) {
            (Some(error), _) => Err(PoolError::Ended(error.to_string())),
            (None, Ok(status)) if status.success() => Ok(()),
            (None, Ok(status)) => Err(PoolError::Ended(format!("its supervisor ended: {status}"))),
            (None, Err(ProcessError::Deadlock(deadlock))) => Err(PoolError::Deadlock(deadlock)),
            (None, Err(error)) => Err(PoolError::Ended(error.to_string())),
        }
    }

    fn wait_for_start(&self) -> Result<(), PoolError> {
        let mut message = Vec::new();
        loop {
            match self
                .shared
                .results
                .get(&mut message, Deadline::after(LONGEST_SLEEP), &())
            {
                Ok(_) => {
                    return match Notice::parse(&message) {
                        Some(Notice::Broken(reason)) => Err(PoolError::Workers(reason)),
                        _ => Ok(()),
                    };
                }
                Err(RingError::TimedOut) => {}
                Err(error) => return Err(PoolError::Workers(error.to_string())),
            }
            if let Some(reason) = self.supervisor_end() {
                return Err(PoolError::Workers(reason));
            }
        }
    }

    /// Waits for something to arrive and delivers it, with what else has.
    pub fn step(&self, deadline: Deadline) -> Result<(), Deadlock> {
        if self.is_a_copy() {
            self.fail_all(&TaskError::Terminated);
            return Ok(());
        }
        self.feed();
        let pause = if self.has_backlog() {
            FEED_INTERVAL
        } else {
            LONGEST_SLEEP
        };
        let message = RefCell::new(Vec::new());
        let get = |deadline| {
            let got = self
                .shared
                .results
                .get(&mut message.borrow_mut(), deadline, &());
            got.ok().map(|_| Step::Arrived)
        };
        let look = || {
            // Before looking for more: it may have put its last notice just now.
            let ended = self.supervisor_end().map(Step::Ended);
            let fed = || self.feed().then_some(Step::Fed);
            let found = get(Deadline::NOW).or_else(fed).or(ended);
            found.map_or(Look::InVain(Upon::Anybody), Look::Found)
        };
        let what = format_args!("an item in {}", self.shared.results.object());
        let nap = |limit| get(Deadline::after(limit));
        let points = Points::of(Act::Get, self.shared.results.object().id(), deadline);
        points.before();
        let step = asleep::wait(deadline, pause, what, nap, look);
        let outcome = match step {
            Ok(Some(Step::Arrived)) => points::Outcome::Done,
            Ok(_) => points::Outcome::TimedOut,
            Err(_) => points::Outcome::Failed,
        };
        points.after_item(outcome, wire::item(&message.borrow()));
        match step? {
            None | Some(Step::Fed) => return Ok(()),
            Some(Step::Ended(reason)) => {
                self.fail_all(&TaskError::PoolFailed(reason));
                return Ok(());
            }
            Some(Step::Arrived) => {}
        }
        self.deliver(&message.borrow());
        for _ in 0..MESSAGES_A_STEP {
            self.feed();
            if get(Deadline::NOW).is_none() {
                break;
            }
            self.deliver(&message.borrow());
        }
        Ok(())
    }

    /// Gives the outcomes in a message to whoever submitted their tasks.
    fn deliver(&self, message: &[u8]) {
        match Notice::parse(message) {
            Some(Notice::Started) => return,
            Some(Notice::Broken(reason)) => return self.fail_all(&TaskError::PoolFailed(reason)),
            Some(Notice::Died { task, pid, status }) => {
                // Nothing is pending if it had sent the last outcome.
                let lost = self.pending.borrow_mut().remove(&task);
                if let Some(lost) = lost {
                    let error = TaskError::WorkerDied {
                        pid,
                        status: ExitStatus::from_raw(status),
                    };
                    self.call(task, || {
                        self.refuse(&lost.deliver, lost.arrived..lost.count, &error);
                    });
                }
                return;
            }
            None => {}
        }
        let (id, outcomes) = wire::parse(message);
        let Some((first, deliver)) = self.reserve(id, wire::parse(message).1.count()) else {
            return;
        };
        self.call(id, || {
            for (index, bytes) in (first..).zip(outcomes) {
                let outcome = decode::<Outcome<R>>(bytes)
                    .unwrap_or_else(|error| Err(TaskError::Decode(TaskData::Result, error).into()));
                deliver(index, outcome);
            }
        });
    }

    /// Hands over outcomes of a submission, between the two points of that.
    fn call(&self, id: u64, deliver: impl FnOnce()) {
        let results = self.shared.results.object().id();
        let points = Points::of(Act::Call, results, Deadline::NEVER);
        points.before();
        deliver();
        points.after_item(points::Outcome::Done, id as u32);
    }

    /// The index of the first of these outcomes, and who receives them. Their places are taken
    /// before any is decoded: a `Deserialize` or a callback of the user's may come here again, with
    /// the submission's next message.
    fn reserve(&self, id: u64, count: usize) -> Option<(usize, Deliver<'cb, R>)> {
        let mut pending = self.pending.borrow_mut();
        let Entry::Occupied(mut entry) = pending.entry(id) else {
            return None;
        };
        let task = entry.get_mut();
        let first = task.arrived;
        task.arrived += count;
        if task.arrived < task.count {
            return Some((first, Rc::clone(&task.deliver)));
        }
        Some((first, entry.remove().deliver))
    }
}
