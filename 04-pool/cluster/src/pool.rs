//! Workers on any hosts do tasks, and their parent gets one outcome of each.
//!
//! A task is a message of a work queue, and its id a part of the subject. Who does it stores the
//! outcome under the same id, then says that the task is finished. It may die between the two, or
//! be taken for dead: then another does the task again. The stream of outcomes takes one for each
//! id.

use std::any::{Any, type_name};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt::{self, Debug, Display};
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::pin::Pin;
use std::task::Poll;
use std::time::{Duration, Instant};
use std::{fs, process};

use anyhow::{Context, Result, ensure};
use async_nats::HeaderMap;
use async_nats::jetstream::stream::{Config, Stream};
use futures_util::stream::FuturesUnordered;
use futures_util::{StreamExt, poll};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::cluster::{Cluster, Sent, subject_id};
use crate::process::{Process, end};
use crate::pull::{Pull, SILENCE, TAKERS, once, restore, work_queue};
use crate::reader::Reader;

/// The role of a worker.
const WORKER: &str = "worker";
/// To so many workers a task is given. Who takes it then only says that it is given up.
const DELIVERIES: u64 = 5;
/// So many tasks are under way at most: more wait in the parent's loop, not in anybody's memory.
const UNDER_WAY: usize = 1000;
/// So many tasks are sent before the server has confirmed the first of them.
const UNCONFIRMED: usize = 64;
/// Characters of an error's text.
const TEXT: usize = 1000;
/// What a message needs beside what it carries.
const HEADER: usize = 64;
/// How often the parent looks whether its workers run.
const LOOK: Duration = Duration::from_millis(100);
/// So many ends of each worker, and no outcome between them, are too many.
const ENDS: usize = 1000;

/// Why a task has no result.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum TaskError {
    /// It returned an error: the task, and what that says.
    Failed(String, String),
    /// It panicked: the task, and what that says.
    Panicked(String, String),
    /// It was given to so many workers, and none has finished it.
    GivenUp(String, u64),
}

impl Display for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TaskError::Failed(task, error) => write!(f, "{task} failed: {error}"),
            TaskError::Panicked(task, message) => write!(f, "{task} panicked: {message}"),
            TaskError::GivenUp(task, workers) => {
                write!(
                    f,
                    "{task} is given up: {workers} workers had it and did not finish it"
                )
            }
        }
    }
}

impl std::error::Error for TaskError {}

/// What a worker stores.
#[derive(Serialize, Deserialize)]
struct Outcome {
    worker: String,
    /// Of the arguments. Who starts a job again with others must not take this for theirs.
    hash: u64,
    result: Result<Vec<u8>, TaskError>,
}

type Callback<'p, T> = Box<dyn FnOnce(T) + 'p>;

/// A task whose outcome has not come.
struct Pending<'p, R> {
    payload: Vec<u8>,
    callback: Option<Callback<'p, R>>,
    error_callback: Option<Callback<'p, TaskError>>,
}

/// The parent's side. A job has one.
pub struct Pool<'p, A, R> {
    cluster: Cluster,
    workers: Vec<Process>,
    tasks: Stream,
    reader: Reader,
    /// Tasks that the server has not confirmed yet: to wait for each costs a way there and back.
    sending: FuturesUnordered<Pin<Box<dyn Future<Output = Result<Sent>>>>>,
    next: u64,
    pending: BTreeMap<u64, Pending<'p, R>>,
    /// Outcomes that an earlier life of this parent has asked for.
    early: HashMap<u64, Outcome>,
    ready: VecDeque<(u64, Outcome)>,
    heard: Instant,
    /// How many workers have ended since then.
    ends: usize,
    from_before: usize,
    by_worker: BTreeMap<String, u64>,
    arguments: PhantomData<fn(A)>,
}

/// A task that was handed in.
pub struct Task<'t, 'p, R>(&'t mut Pending<'p, R>);

impl<'p, R> Task<'_, 'p, R> {
    /// Called with its result in [`Pool::join`], or when another is handed in.
    pub fn callback(self, callback: impl FnOnce(R) + 'p) -> Self {
        self.0.callback = Some(Box::new(callback));
        self
    }

    /// Called so if it has none.
    pub fn error_callback(self, callback: impl FnOnce(TaskError) + 'p) -> Self {
        self.0.error_callback = Some(Box::new(callback));
        self
    }
}

impl Cluster {
    /// In the parent: starts so many workers here, and makes a pool for them and for those that are
    /// started elsewhere, with `--role worker`. In a worker: does tasks until the job has ended,
    /// and then ends the process.
    ///
    /// A parent that was killed, and is started again with the same server and job, must hand in the
    /// same tasks in the same order; those that have an outcome are not done again.
    ///
    /// # Errors
    /// The server does not answer.
    pub fn pool<'p, A, R>(
        &self,
        workers: usize,
        task: impl Fn(A) -> Result<R>,
    ) -> Result<Pool<'p, A, R>>
    where
        A: Serialize + DeserializeOwned + Debug,
        R: Serialize + DeserializeOwned,
    {
        if self.options().role.as_deref() == Some(WORKER) {
            end(WORKER, work(self, &task)); // nobody watches whether it is there
        }
        self.ensure_parent()?;
        let (tasks, results) = self.wait(async {
            let results = self.stream("results", once()).await?;
            let tasks = tasks_of::<A, R>(self).await?;
            Pull::new(self, "tasks", &tasks).await?; // before anybody asks for it
            anyhow::Ok((tasks, results))
        })?;
        let there = self.wait(self.patiently("for results", async || results.get_info().await))?;
        let start = |_| self.process(WORKER, || Ok(()));
        let started = (0..workers).map(start).collect::<Result<_>>()?;
        let mut pool = Pool {
            cluster: self.clone(),
            workers: started,
            tasks,
            reader: Reader::new(self, results),
            sending: FuturesUnordered::new(),
            next: 0,
            pending: BTreeMap::new(),
            early: HashMap::new(),
            ready: VecDeque::new(),
            heard: Instant::now(),
            ends: 0,
            from_before: 0,
            by_worker: BTreeMap::new(),
            arguments: PhantomData,
        };
        while (pool.early.len() as u64) < there.state.messages {
            pool.read(LOOK)?;
        }
        pool.from_before = pool.early.len();
        Ok(pool)
    }
}

impl<'p, A: Serialize, R: DeserializeOwned> Pool<'p, A, R> {
    /// Hands in a task. While a thousand are under way, it waits, and calls callbacks meanwhile.
    ///
    /// # Errors
    /// The server does not answer, or refuses.
    pub fn apply_async(&mut self, arguments: &A) -> Result<Task<'_, 'p, R>> {
        while self.pending.len() >= UNDER_WAY {
            self.pump()?;
        }
        let id = self.next;
        let payload = postcard::to_stdvec(arguments).context("the arguments cannot be sent")?;
        match self.early.remove(&id) {
            Some(outcome) => self.ready.push_back((id, outcome)),
            None => self.send(id, payload.clone())?,
        }
        self.next += 1;
        Ok(Task(self.pending.entry(id).or_insert(Pending {
            payload,
            callback: None,
            error_callback: None,
        })))
    }

    /// One that is there already, from before, is refused, and that is right.
    fn send(&mut self, id: u64, payload: Vec<u8>) -> Result<()> {
        let (cluster, subject) = (self.cluster.clone(), self.cluster.subject("tasks", id));
        self.sending.push(Box::pin(async move {
            cluster.publish(&subject, HeaderMap::new(), payload).await
        }));
        self.cluster.wait(see_to(&mut self.sending))
    }

    /// Waits until each task has its outcome, and calls the callbacks as they come.
    ///
    /// # Errors
    /// The server does not answer, or a worker here cannot run.
    pub fn join(&mut self) -> Result<()> {
        while !self.pending.is_empty() {
            self.pump()?;
        }
        Ok(())
    }

    /// How many tasks have no outcome yet.
    pub fn under_way(&self) -> usize {
        self.pending.len()
    }

    /// How many outcomes were there when this parent came.
    pub fn from_before(&self) -> usize {
        self.from_before
    }

    /// How often the server has given a task to a worker. After a loss of power it counts anew.
    ///
    /// # Errors
    /// The server does not answer.
    pub fn deliveries(&self) -> Result<u64> {
        let account = async || self.tasks.consumer_info(TAKERS).await;
        let account = self.cluster.patiently("for the tasks", account);
        Ok(self.cluster.wait(account)?.delivered.consumer_sequence)
    }

    /// How many outcomes came of each worker.
    pub fn by_worker(&self) -> &BTreeMap<String, u64> {
        &self.by_worker
    }

    /// The workers that were started here.
    pub fn workers(&self) -> &[Process] {
        &self.workers
    }

    /// Waits a little for outcomes, calls their callbacks, and sees to the workers.
    ///
    /// # Errors
    /// As [`Pool::join`].
    pub fn pump(&mut self) -> Result<()> {
        if self.ready.is_empty() {
            self.read(LOOK)?;
        }
        while let Some((id, outcome)) = self.ready.pop_front() {
            self.apply(id, outcome)?;
        }
        let most = ENDS * self.workers.len();
        for worker in &mut self.workers {
            // However it has ended: a task may do that, too.
            if let Some(status) = worker.ended()? {
                self.ends += 1;
                ensure!(
                    self.ends < most,
                    "the workers end again and again, the last one so: {status}"
                );
                worker.start_again(&self.cluster)?;
            }
        }
        if self.heard.elapsed() > SILENCE && !self.pending.is_empty() {
            self.heard = Instant::now();
            self.send_what_was_forgotten()?;
        }
        Ok(())
    }

    fn read(&mut self, limit: Duration) -> Result<()> {
        let message = self.cluster.wait(async {
            see_to(&mut self.sending).await?;
            self.reader.next(limit).await
        })?;
        let Some(message) = message else {
            return Ok(());
        };
        (self.heard, self.ends) = (Instant::now(), 0);
        let id = subject_id(&message.subject);
        let id = id
            .parse()
            .with_context(|| format!("no task's subject: {id}"))?;
        let outcome = postcard::from_bytes(&message.payload).context("no outcome of a task")?;
        if self.pending.contains_key(&id) {
            self.ready.push_back((id, outcome));
        } else if id >= self.next {
            self.early.insert(id, outcome);
        } // else it has come before
        Ok(())
    }

    fn apply(&mut self, id: u64, outcome: Outcome) -> Result<()> {
        let Some(pending) = self.pending.remove(&id) else {
            return Ok(());
        };
        ensure!(
            outcome.hash == hash(&pending.payload),
            "task {id} had other arguments when the job {:?} was begun: give this one another \
             name with --job, or begin it anew with --anew",
            self.cluster.job()
        );
        *self.by_worker.entry(outcome.worker).or_default() += 1;
        match outcome.result {
            Ok(result) => {
                let result = postcard::from_bytes(&result).context("a result of another type")?;
                if let Some(callback) = pending.callback {
                    callback(result);
                }
            }
            Err(error) => {
                if let Some(callback) = pending.error_callback {
                    callback(error);
                }
            }
        }
        Ok(())
    }

    fn send_what_was_forgotten(&mut self) -> Result<()> {
        let missing = self
            .cluster
            .wait(restore(&self.cluster, "tasks", &self.tasks))?;
        if missing && self.sending.is_empty() {
            let all = self
                .pending
                .iter()
                .map(|(id, task)| (*id, task.payload.clone()));
            for (id, payload) in all.collect::<Vec<_>>() {
                self.send(id, payload)?;
            }
        }
        Ok(())
    }
}

/// Lets what is being sent go on, and waits only where too much is.
async fn see_to<F: Future<Output = Result<Sent>>>(sending: &mut FuturesUnordered<F>) -> Result<()> {
    while sending.len() > UNCONFIRMED {
        sending.next().await.transpose()?;
    }
    while let Poll::Ready(Some(sent)) = poll!(sending.next()) {
        sent?;
    }
    Ok(())
}

/// What a worker does.
fn work<A, R>(cluster: &Cluster, task: impl Fn(A) -> Result<R>) -> Result<()>
where
    A: DeserializeOwned + Debug,
    R: Serialize,
{
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let worker = format!("{}/{}", host.trim(), process::id());
    let mut pull = cluster.wait(async {
        let tasks = tasks_of::<A, R>(cluster).await?;
        Pull::new(cluster, "tasks", &tasks).await
    })?;
    loop {
        let Some(held) = cluster.wait(pull.next())? else {
            if cluster.wait(pull.is_over()) {
                return Ok(());
            }
            continue;
        };
        let id: u64 = held.id().parse().context("no task's subject")?;
        let arguments = || postcard::from_bytes::<A>(held.payload());
        let name = || match arguments() {
            Ok(arguments) => short(format!("task {id}, {arguments:?},")),
            Err(_) => format!("task {id}"),
        };
        let result = match arguments() {
            Err(error) => {
                let error = format!("its arguments are of another type: {error}");
                Err(TaskError::Failed(name(), error))
            }
            Ok(_) if held.deliveries > DELIVERIES => Err(TaskError::GivenUp(name(), DELIVERIES)),
            Ok(arguments) => run(&task, arguments, name),
        };
        let mut outcome = Outcome {
            worker: worker.clone(),
            hash: hash(held.payload()),
            result,
        };
        let mut payload = postcard::to_stdvec(&outcome)?;
        let most = cluster.client().server_info().max_payload - HEADER;
        if payload.len() > most {
            let error = format!("its result is larger than the server's {most} bytes");
            outcome.result = Err(TaskError::Failed(name(), error));
            payload = postcard::to_stdvec(&outcome)?;
        }
        let subject = cluster.subject("results", id);
        if let Err(error) = cluster.wait(cluster.store(&subject, payload)) {
            if cluster.wait(pull.is_over()) {
                return Ok(());
            }
            return Err(error);
        }
        cluster.wait(held.finish());
    }
}

fn run<A, R: Serialize>(
    task: impl Fn(A) -> Result<R>,
    arguments: A,
    name: impl Fn() -> String,
) -> Result<Vec<u8>, TaskError> {
    // Its message is in the error that the parent gets.
    let hook = take_hook();
    set_hook(Box::new(|_| ()));
    let result = catch_unwind(AssertUnwindSafe(|| task(arguments)));
    set_hook(hook);
    let failed = |error: String| TaskError::Failed(name(), short(error));
    match result {
        Ok(Ok(result)) => postcard::to_stdvec(&result).map_err(|error| failed(error.to_string())),
        Ok(Err(error)) => Err(failed(format!("{error:#}"))),
        Err(panic) => Err(TaskError::Panicked(name(), short(text(&*panic)))),
    }
}

fn text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "no text".to_owned())
}

/// An error must fit into a message, and arguments may be large.
fn short(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(TEXT) {
        text.truncate(end);
        text.push('…');
    }
    text
}

/// FNV-1a. Not the library's, which may be another in the next version of Rust.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// The queue of tasks, which says of what types they are.
async fn tasks_of<A, R>(cluster: &Cluster) -> Result<Stream> {
    let ours = short(type_name::<fn(A) -> R>().to_owned());
    let config = Config {
        description: Some(ours.clone()),
        ..work_queue()
    };
    let stream = cluster.stream("tasks", config).await?;
    let theirs = stream.cached_info().config.description.as_deref();
    ensure!(
        theirs == Some(&ours),
        "the tasks of the job {:?} are of the type {}, and those of this program of {ours}: is it \
         another version, or another job?",
        cluster.job(),
        theirs.unwrap_or("unknown"),
    );
    Ok(stream)
}
