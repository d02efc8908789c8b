//! The supervisor's whole life: it forks the workers and forks another for each that dies.

use std::collections::VecDeque;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::{Pid, getppid};

use super::wire::{Claim, IDLE, Notice, STARTING, Shared};
use crate::asleep::{self, Look, readable, until_readable};
use crate::deadline::Deadline;
use crate::process::{Outcome, Process, SpawnError};
use crate::words::chain;

/// How soon to try again what did not work.
const RETRY: Duration = Duration::from_millis(50);
/// How often to look for an end that no signal tells of.
pub(super) const LOOK: Duration = Duration::from_secs(1);
/// After this many workers in each place that died before they could take a task, one after the
/// other, the next would too.
const FALSE_STARTS: usize = 5;

/// Keeps the workers running until the pool is closed and done, or this process is asked to end.
///
/// All descriptors of the program stay open here: workers that are still to come are forked from
/// this process, and a task may have captured an open file.
pub(super) fn run<R: Outcome>(
    shared: &Shared,
    parent: Pid,
    work: impl Fn(usize) -> R + Sync,
) -> io::Result<()> {
    // Signals become readable, so that one wait is for both: a child's end and the end of all.
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGCHLD);
    signals.add(Signal::SIGTERM);
    let arrivals = SignalFd::with_flags(&signals, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
    // Ctrl-C is the program's: as long as it goes on, its pool does. Blocked and not ignored, or
    // the programs that a task starts would ignore it.
    signals.add(Signal::SIGINT);
    let inherited = signals.thread_swap_mask(SigmaskHow::SIG_BLOCK)?;

    let mut crew = Crew {
        shared,
        start: |worker: usize| {
            shared.in_hand()[worker].store(STARTING, SeqCst);
            Process::spawn(format!("worker {}", worker + 1), || {
                let _ = inherited.thread_set_mask();
                work(worker)
            })
        },
        workers: Vec::new(),
        notices: VecDeque::new(),
        false_starts: 0,
    };
    for worker in 0..shared.in_hand().len() {
        match (crew.start)(worker) {
            Ok(process) => crew.workers.push(Some(process)),
            Err(error) => return crew.give_up(&chain(&error)),
        }
    }
    crew.notices.push_back(Notice::Started);

    // A parent that has become another user can send no signal, not even by its death.
    let is_over = || shared.results.is_closed() || getppid() != parent;
    loop {
        if is_over() {
            return Ok(());
        }
        let settled = crew.look_after()?;
        if crew.workers.is_empty() {
            return Ok(());
        }
        let arrived = |limit| until_readable(&mut [readable(&arrivals)], limit);
        let look = || match arrived(Duration::ZERO) {
            None if is_over() || crew.has_dead() => Look::Found(Ok(())),
            None => Look::InVain(Process::first_end_of(crew.workers.iter().flatten())),
            Some(done) => Look::Found(done),
        };
        let deadline = if settled {
            Deadline::NEVER
        } else {
            Deadline::after(RETRY)
        };
        let what = format_args!("its workers");
        let waited = asleep::wait(deadline, LOOK, what, arrived, look);
        waited.map_err(io::Error::other)?.transpose()?;
        while let Some(signal) = arrivals.read_signal()? {
            if signal.ssi_signo == Signal::SIGTERM as u32 {
                // Dropping the workers kills and reaps them.
                return Ok(());
            }
        }
    }
}

struct Crew<'a, F> {
    shared: &'a Shared,
    start: F,
    /// `None` for one that died and could not be replaced yet. Empty when the work is done.
    workers: Vec<Option<Process>>,
    /// What the parent must be told and had no room for yet.
    notices: VecDeque<Notice>,
    false_starts: usize,
}

impl<F: Fn(usize) -> Result<Process, SpawnError>> Crew<'_, F> {
    /// Replaces the dead and reports their tasks; false if something is left to do.
    fn look_after(&mut self) -> io::Result<bool> {
        self.bury()?;
        if self.false_starts >= FALSE_STARTS * self.workers.len() {
            self.give_up("they die before they can take a task")?;
            return Ok(true);
        }
        let done = self.shared.tasks.is_closed() && self.shared.tasks.is_empty();
        if !done {
            self.replace()?;
        }
        if !self.report() {
            return Ok(false);
        }
        let there = self.workers.iter().flatten().count();
        if done && there == 0 {
            self.workers.clear();
        }
        Ok(done || there == self.workers.len())
    }

    /// Whether a worker has ended that was not buried.
    fn has_dead(&mut self) -> bool {
        let mut there = self.workers.iter_mut().flatten();
        there.any(|worker| !matches!(worker.is_alive(), Ok(true)))
    }

    /// Waits for workers that have ended, and notes which tasks they had.
    fn bury(&mut self) -> io::Result<()> {
        for (index, place) in self.workers.iter_mut().enumerate() {
            let Some(worker) = place else { continue };
            if worker.is_alive().map_err(io::Error::other)? {
                continue;
            }
            let pid = worker.pid();
            let status = worker.join().map_err(io::Error::other)?;
            *place = None;
            let claim = Claim {
                in_hand: self.shared.in_hand(),
                worker: index,
            };
            self.shared.tasks.settle(&claim).map_err(io::Error::other)?;
            match claim.in_hand[index].swap(IDLE, SeqCst) {
                IDLE => self.false_starts = 0,
                // Somebody kills them, or presses Ctrl-C, which says nothing of the next one.
                STARTING if matches!(status.signal(), Some(libc::SIGKILL | libc::SIGINT)) => {}
                STARTING => self.false_starts += 1,
                task => {
                    self.false_starts = 0;
                    self.notices.push_back(Notice::Died {
                        task,
                        pid,
                        status: status.into_raw(),
                    });
                }
            }
        }
        Ok(())
    }

    /// Starts workers in the free places, as far as that can be had.
    fn replace(&mut self) -> io::Result<()> {
        while let Some(index) = self.workers.iter().position(Option::is_none) {
            match (self.start)(index) {
                Ok(worker) => self.workers[index] = Some(worker),
                Err(error) if self.workers.iter().all(Option::is_none) => {
                    return self.give_up(&chain(&error));
                }
                // The others go on; it may work later.
                Err(_) => break,
            }
        }
        Ok(())
    }

    /// Tells the parent what has happened; false if there is no room for it now.
    fn report(&mut self) -> bool {
        while let Some(notice) = self.notices.front() {
            let now = Deadline::NOW;
            if self.shared.results.put(&notice.to_message(), now).is_err() {
                return false;
            }
            self.notices.pop_front();
        }
        true
    }

    /// Tells the parent that there will be no workers, once it has read what came before.
    fn give_up(&mut self, reason: &str) -> io::Result<()> {
        self.workers.clear();
        let notices = self
            .notices
            .drain(..)
            .chain([Notice::Broken(reason.to_owned())]);
        for notice in notices {
            self.shared
                .results
                .put(&notice.to_message(), Deadline::NEVER)
                .map_err(io::Error::other)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// With programs in place of workers: tests have threads beside them, so they cannot fork.
    #[test]
    fn workers_that_die_at_their_start_are_not_replaced_for_ever() -> anyhow::Result<()> {
        let shared = Shared::new(10_000, 2)?;
        let started = std::cell::Cell::new(0);
        let mut crew = Crew {
            shared: &shared,
            start: |worker: usize| {
                started.set(started.get() + 1);
                shared.in_hand()[worker].store(STARTING, SeqCst);
                Ok(Process::adopt(Command::new("true").spawn()?)?)
            },
            workers: vec![None, None],
            notices: VecDeque::new(),
            false_starts: 0,
        };
        while !crew.workers.is_empty() {
            crew.look_after()?;
        }
        let mut message = Vec::new();
        shared.results.get(&mut message, Deadline::NOW, &())?;
        let Some(Notice::Broken(reason)) = Notice::parse(&message) else {
            panic!("the parent was not told");
        };
        assert!(reason.contains("before they can take a task"), "{reason}");
        assert!(
            started.get() <= 2 * FALSE_STARTS + 2,
            "{} starts",
            started.get()
        );
        Ok(())
    }
}
