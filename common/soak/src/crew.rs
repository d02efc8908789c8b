//! A pool whose tasks compute, sleep, fail, panic, exit, kill their worker, or see to it that
//! it is killed a little later.

use std::cell::Cell;
use std::collections::VecDeque;
use std::mem::forget;
use std::os::unix::process::{ExitStatusExt, parent_id};
use std::process::{ExitStatus, exit};
use std::rc::Rc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use common::{AsyncResult, Pool, TaskError};
use nix::sys::signal::{SigEvent, SigevNotify, Signal, kill, raise};
use nix::sys::timer::{Expiration, Timer, TimerSetTimeFlags};
use nix::time::ClockId;
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use crate::ledger::{Ledger, Row};
use crate::random::{Random, mix};
use crate::{PATIENCE, SIGNALS};

/// No worker lives longer than this after it was doomed.
const DOOM: Duration = Duration::from_millis(10);

#[derive(Clone, Debug, Serialize, Deserialize)]
enum Task {
    Compute(u64),
    Sleep(u64),
    Fail,
    Panic,
    Exit(i32),
    Raise(i32),
    /// The worker goes on, and is killed by a timer, whatever it does then.
    Doom(i32, u64),
    /// Returns the pid of the worker's parent.
    Parent,
}

fn perform(task: Task) -> Result<u64> {
    match task {
        Task::Compute(number) => return Ok(mix(number)),
        Task::Sleep(micros) => sleep(Duration::from_micros(micros)),
        Task::Fail => bail!("failed as told"),
        Task::Panic => panic!("panicked as told"),
        Task::Exit(code) => exit(code),
        // Again, as Rust's runtime catches the first SIGSEGV.
        Task::Raise(signal) => loop {
            raise(Signal::try_from(signal)?)?;
        },
        Task::Doom(signal, micros) => {
            let signal = Signal::try_from(signal)?;
            let notify = SigevNotify::SigevSignal {
                signal,
                si_value: 0,
            };
            let mut timer = Timer::new(ClockId::CLOCK_MONOTONIC, SigEvent::new(notify))?;
            let (first, again) = (Duration::from_micros(micros + 1), Duration::from_millis(1));
            timer.set(
                Expiration::IntervalDelayed(first.into(), again.into()),
                TimerSetTimeFlags::empty(),
            )?;
            forget(timer); // dropped, it would be disarmed
        }
        Task::Parent => return Ok(parent_id().into()),
    }
    Ok(0)
}

pub struct Crew<'a> {
    pool: Pool<'a, Task, u64>,
    waiting: VecDeque<(Task, AsyncResult<'a, u64>)>,
    ledger: &'a Ledger,
    submitted: u64,
    /// How often a callback was called.
    called: Rc<Cell<u64>>,
    /// How many workers were doomed, and how many tasks died that did nothing for it.
    doomed: u64,
    bystanders: u64,
    supervisor_killed: bool,
}

impl<'a> Crew<'a> {
    pub fn new(workers: usize, ledger: &'a Ledger) -> Result<Self> {
        Ok(Crew {
            pool: Pool::new(workers, perform)?,
            waiting: VecDeque::new(),
            ledger,
            submitted: 0,
            called: Rc::default(),
            doomed: 0,
            bystanders: 0,
            supervisor_killed: false,
        })
    }

    /// Submits a few tasks, and judges the outcomes that have come.
    pub fn tick(&mut self, random: &mut Random) -> Result<()> {
        if self.waiting.len() < 500 {
            for _ in 0..random.below(20) {
                let task = self.random_task(random);
                self.submit(task)?;
            }
        }
        if random.once_in(20) {
            self.map(random)?;
        }
        while self.waiting.front().is_some_and(|(_, front)| front.ready()) {
            self.judge_first()?;
        }
        Ok(())
    }

    fn random_task(&mut self, random: &mut Random) -> Task {
        match random.below(60) {
            0 => Task::Exit(random.below(100) as i32),
            1 => Task::Raise(random.pick(&SIGNALS).0 as i32),
            2 => {
                self.doomed += 1;
                let signal = random.pick(&SIGNALS).0 as i32;
                Task::Doom(signal, random.below(DOOM.as_micros() as u64))
            }
            3..8 => Task::Fail,
            8..12 => Task::Panic,
            12..20 => Task::Sleep(random.below(1000)),
            _ => Task::Compute(random.next()),
        }
    }

    fn submit(&mut self, task: Task) -> Result<()> {
        let (succeeded, failed) = (Rc::clone(&self.called), Rc::clone(&self.called));
        let result = self.pool.apply_async(&task);
        let result = result
            .callback(move |_| succeeded.set(succeeded.get() + 1))
            .error_callback(move |_| failed.set(failed.get() + 1));
        self.submitted += 1;
        self.waiting.push_back((task, result));
        Ok(())
    }

    /// Chunks of tasks: a dead worker costs what is left of its chunk.
    fn map(&mut self, random: &mut Random) -> Result<()> {
        let numbers: Vec<u64> = (0..random.below(200)).map(|_| random.next()).collect();
        match self.pool.map(numbers.iter().copied().map(Task::Compute)) {
            Ok(results) => ensure!(
                results.into_iter().eq(numbers.into_iter().map(mix)),
                "wrong results of a map"
            ),
            Err(TaskError::WorkerDied { .. }) => self.bystanders += 1,
            Err(TaskError::PoolFailed(_)) if self.supervisor_killed => {}
            Err(error) => bail!(error),
        }
        Ok(())
    }

    fn judge_first(&mut self) -> Result<()> {
        let Some((task, result)) = self.waiting.pop_front() else {
            return Ok(());
        };
        let Ok(outcome) = result.get_timeout(PATIENCE) else {
            bail!("no outcome of {task:?} within {PATIENCE:?}");
        };
        self.ledger.add(Row::Tasks, 1)?;
        self.ledger.add(Row::Operations, 1)?;
        let row = self.judge(&task, outcome)?;
        self.ledger.add(row, 1)
    }

    /// Which kind of outcome this is, if the task may have it.
    fn judge(&mut self, task: &Task, outcome: Result<u64, TaskError>) -> Result<Row> {
        use Row::{TaskDied, TaskFailed, TaskPanicked, TaskPoolFailed, TaskResult};
        use TaskError::{Failed, Panicked, PoolFailed, WorkerDied};
        Ok(match (task, outcome) {
            (Task::Compute(number), Ok(result)) if result == mix(*number) => TaskResult,
            (Task::Sleep(_) | Task::Doom(..), Ok(0)) => TaskResult,
            (Task::Fail, Err(Failed(message))) if message == "failed as told" => TaskFailed,
            (Task::Panic, Err(Panicked { message, .. })) if message == "panicked as told" => {
                TaskPanicked
            }
            (task, Err(WorkerDied { status, .. })) => {
                if !died_of(task, status) {
                    self.bystanders += 1;
                }
                TaskDied
            }
            (_, Err(PoolFailed(_))) if self.supervisor_killed => TaskPoolFailed,
            (task, outcome) => bail!("{task:?} had the outcome {outcome:?}"),
        })
    }

    /// From now on every task fails, and none is left without an outcome.
    pub fn kill_supervisor(&mut self) -> Result<()> {
        let pid = loop {
            match self.pool.apply(&Task::Parent) {
                Err(TaskError::WorkerDied { .. }) => self.bystanders += 1,
                parent => break parent?,
            }
        };
        // This process's own child and not reaped yet, so the pid is nobody else's.
        kill(Pid::from_raw(pid as i32), Signal::SIGKILL)?;
        self.supervisor_killed = true;
        self.ledger.add(Row::KillSupervisor, 1)
    }

    /// Judges all the rest, and whether the pool is whole again.
    pub fn finish(mut self) -> Result<()> {
        while !self.waiting.is_empty() {
            self.judge_first()?;
        }
        ensure!(
            self.called.get() == self.submitted,
            "{} tasks, and {} calls of their callbacks",
            self.submitted,
            self.called.get()
        );
        if self.supervisor_killed {
            let start = Instant::now();
            // A worker lives on for a moment, and may do a last task.
            while self.pool.apply(&Task::Compute(0)).is_ok() {
                ensure!(
                    start.elapsed() < PATIENCE,
                    "a pool without a supervisor works on"
                );
            }
            let error = self.pool.apply(&Task::Compute(0));
            ensure!(
                matches!(error, Err(TaskError::PoolFailed(_))),
                "a pool without a supervisor returned {error:?}"
            );
            return Ok(());
        }
        // The last doomed worker may be waiting for its end.
        sleep(DOOM * 10);
        ensure!(
            self.bystanders <= self.doomed,
            "{} tasks died with their worker for no reason of their own, and only {} workers \
             were killed from outside",
            self.bystanders,
            self.doomed
        );
        self.pool
            .map((0..100).map(Task::Compute))
            .context("after its workers were replaced, the pool does not work")?;
        Ok(self.pool.join()?)
    }
}

/// Whether the task itself is why its worker ended like this.
fn died_of(task: &Task, status: ExitStatus) -> bool {
    match task {
        Task::Exit(code) => status.code() == Some(*code),
        Task::Raise(signal) => status.signal() == Some(*signal),
        _ => false,
    }
}
