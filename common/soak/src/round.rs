//! One round: new shared objects, some processes in random roles, random kills, and the audit.

use std::os::unix::process::ExitStatusExt;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use common::{Array, Lock, Manager, ManagerError, Process, Queue, Value};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;

use crate::crew::Crew;
use crate::item::split;
use crate::ledger::{Book, Deed, Ledger, Row};
use crate::random::Random;
use crate::role::{Role, Stage, all_equal, recovered};
use crate::{PATIENCE, SIGNALS, descriptors, strike};

/// The whole life of the process that runs a round. It is the parent of all others.
pub fn run(mut random: Random, length: Duration, totals: &Ledger) -> Result<()> {
    let before = descriptors()?;
    let sums = Ledger::new()?;
    perform(&mut random, length, &sums)?;

    let children = waitpid(None, Some(WaitPidFlag::WNOHANG));
    ensure!(
        children == Err(Errno::ECHILD),
        "a child was left: {children:?}"
    );
    let after = descriptors()?;
    ensure!(
        before == after,
        "{before} descriptors before, {after} after"
    );
    sums.close()?.add_to(totals)
}

fn perform(random: &mut Random, length: Duration, sums: &Ledger) -> Result<()> {
    let stage = stage(random, length)?;
    let mut crew = Crew::new(1 + random.below(4) as usize, sums)?;
    let mut cast = Cast {
        stage: &stage,
        members: Vec::new(),
    };
    for _ in 0..4 + random.below(7) {
        cast.enter(random)?;
    }

    let kill_manager_at = stage.end - random.micros(length.as_micros() as u64);
    let kill_supervisor_at = random.once_in(5).then_some(kill_manager_at);
    let (mut manager_dies, mut supervisor_dies) = (stage.manager_dies, kill_supervisor_at);
    while Instant::now() < stage.end {
        crew.tick(random)?;
        sleep(random.micros(5000));
        if random.once_in(4) {
            cast.kill_one(random, sums)?;
            cast.enter(random)?;
        }
        if manager_dies && Instant::now() > kill_manager_at {
            kill(Pid::from_raw(stage.manager.pid() as i32), Signal::SIGKILL)?;
            sums.add(Row::KillManager, 1)?;
            manager_dies = false;
        }
        if supervisor_dies.is_some_and(|at| Instant::now() > at) {
            crew.kill_supervisor()?;
            supervisor_dies = None;
        }
    }
    crew.finish()?;
    let books = cast.leave()?;
    audit_counters(&stage, &books, sums)?;
    audit_items(&stage, &books, sums)?;
    for (book, _) in &books {
        book.add_to(sums)?;
    }
    sums.add(Row::Processes, books.len() as u64)?;
    sums.add(Row::Rounds, 1)
}

fn stage(random: &mut Random, length: Duration) -> Result<Stage> {
    let manager = Manager::start()?;
    // Some values are sent to the manager in one part, some in many.
    let numbers = random.pick(&[1, 100, 100_000]);
    Ok(Stage {
        queue: Queue::with_capacity(random.pick(&[90_000, 300_000, 3_000_000]))?,
        lock: Lock::new()?,
        counter: Value::new(0)?,
        equal: Array::new(&[0; 64])?,
        manager_lock: manager.lock()?,
        manager_equal: manager.value(vec![0; numbers])?,
        manager,
        manager_dies: random.once_in(5),
        end: Instant::now() + length,
    })
}

/// All processes of the round, those that have ended included; an index here is an id.
struct Cast<'a> {
    stage: &'a Stage,
    members: Vec<Member>,
}

struct Member {
    process: Process,
    ledger: Ledger,
    /// `None` as long as it plays.
    killed: Option<bool>,
}

impl Cast<'_> {
    fn enter(&mut self, random: &mut Random) -> Result<()> {
        let ledger = Ledger::new()?;
        let role = Role {
            id: self.members.len() + 1,
            stage: self.stage,
            ledger: &ledger,
            random: random.fork(),
        };
        let process = Process::spawn(format!("role {}", role.id), || role.play())?;
        self.members.push(Member {
            process,
            ledger,
            killed: None,
        });
        Ok(())
    }

    fn kill_one(&mut self, random: &mut Random, sums: &Ledger) -> Result<()> {
        let playing = self.members.iter_mut().filter(|one| one.killed.is_none());
        let mut playing: Vec<&mut Member> = playing.collect();
        if playing.is_empty() {
            return Ok(());
        }
        let chosen = random.below(playing.len() as u64) as usize;
        let (signal, row) = random.pick(&SIGNALS);
        let status = strike(&mut playing[chosen].process, signal)?;
        // It may have come to its end before the signal did.
        let killed = status.signal() == Some(signal as i32);
        ensure!(killed || status.success(), "a role ended with {status}");
        playing[chosen].killed = Some(killed);
        sums.add(row, killed.into())
    }

    /// Waits for the end of all that still play, and closes the books.
    fn leave(self) -> Result<Vec<(Book, bool)>> {
        let mut books = Vec::new();
        for mut member in self.members {
            let name = member.process.name().to_owned();
            let Some(status) = member.process.join_timeout(PATIENCE)? else {
                bail!("{name} hangs");
            };
            let killed = member.killed.unwrap_or(false);
            ensure!(killed || status.success(), "{name} ended with {status}");
            books.push((member.ledger.close()?, killed));
        }
        Ok(books)
    }
}

/// Each counter is what all processes have done, and what the killed ones had begun at most.
fn audit_counters(stage: &Stage, books: &[(Book, bool)], sums: &Ledger) -> Result<()> {
    let (guard, _) = recovered(sums, stage.lock.lock_timeout(PATIENCE), || {
        stage.lock.recover()
    })?;
    let value = stage.counter.lock_timeout(PATIENCE);
    let (counter, _) = recovered(sums, value, || stage.counter.recover())?;
    audit_counter(Deed::LockCount, *counter, books, sums, Row::LockCounts)?;
    drop((counter, guard));

    let array = stage.equal.lock_timeout(PATIENCE);
    let (array, owner_died) = recovered(sums, array, || stage.equal.recover())?;
    ensure!(
        owner_died || all_equal(&array),
        "nobody said that the array's owner died"
    );
    let most = array.iter().copied().max().unwrap_or_default();
    drop(array);
    audit_counter(Deed::ArrayCount, most, books, sums, Row::ArrayCounts)?;

    if stage.manager_dies {
        let refused = stage.manager_lock.lock();
        ensure!(
            matches!(refused, Err(ManagerError::Gone { .. })),
            "a killed manager still serves"
        );
        return Ok(());
    }
    let _guard = stage.manager_lock.lock()?;
    let numbers = stage.manager_equal.get()?;
    ensure!(all_equal(&numbers), "the manager's value is torn");
    audit_counter(
        Deed::ManagerCount,
        numbers[0],
        books,
        sums,
        Row::ManagerCounts,
    )
}

fn audit_counter(
    deed: Deed,
    counted: u64,
    books: &[(Book, bool)],
    sums: &Ledger,
    row: Row,
) -> Result<()> {
    let done: u64 = books.iter().map(|(book, _)| book.done(deed)).sum();
    let open = books.iter().filter(|(book, _)| book.is_open(deed)).count() as u64;
    ensure!(
        books
            .iter()
            .all(|(book, killed)| *killed || !book.is_open(deed)),
        "a process that was not killed left something half done"
    );
    ensure!(
        (done..=done + open).contains(&counted),
        "{deed:?}: counted {counted}, but {done} were done and {open} cut short by a kill"
    );
    sums.add(row, counted)
}

/// Every item came out once, or was in the hands of somebody killed.
fn audit_items(stage: &Stage, books: &[(Book, bool)], sums: &Ledger) -> Result<()> {
    stage.queue.close();
    let (left, mut drained) = (stage.queue.len()?, Vec::new());
    for item in stage.queue.iter() {
        let item = item?;
        item.verify()?;
        drained.push(item.id);
    }
    ensure!(
        drained.len() == left,
        "{left} items in the queue, {} came",
        drained.len()
    );
    let logs = books.iter().map(|(book, _)| &book.items).chain([&drained]);
    let mut out = Vec::new();
    for log in logs {
        in_order(log, books.len())?;
        out.extend(log);
    }
    out.sort_unstable();
    if let Some(pair) = out.windows(2).find(|pair| pair[0] == pair[1]) {
        let (producer, number) = split(pair[0]);
        bail!("item {number} of process {producer} came out twice");
    }

    let (mut done, mut cut_short, mut cut_short_in) = (0, 0, 0);
    for (index, (book, killed)) in books.iter().enumerate() {
        let open = book.is_open(Deed::Put);
        ensure!(*killed || !open, "a put by a living process has no end");
        done += book.done(Deed::Put);
        cut_short += u64::from(open);
        // Ordered by producer and then by number, so the last one is the highest.
        let end = out.partition_point(|&id| split(id).0 <= index + 1);
        let last = out[..end].last().map(|&id| split(id));
        if let Some((producer, number)) = last
            && producer == index + 1
            && number > book.done(Deed::Put)
        {
            ensure!(
                open && number == book.done(Deed::Put) + 1,
                "item {number} of process {producer} came out and was never put"
            );
            cut_short_in += 1;
        }
    }
    let hands = books
        .iter()
        .filter(|(book, killed)| *killed && book.is_open(Deed::Get));
    let hands = hands.count() as u64;
    let (items_in, items_out) = (done + cut_short_in, out.len() as u64);
    ensure!(
        (items_out..=items_out + hands).contains(&items_in),
        "{items_in} items in, {items_out} out, and only {hands} were killed while they took one"
    );
    sums.add(Row::ItemsIn, items_in)?;
    sums.add(Row::ItemsOut, items_out)?;
    sums.add(Row::LostInHand, items_in - items_out)?;
    sums.add(Row::CutShort, cut_short)?;
    sums.add(Row::CutShortIn, cut_short_in)
}

/// What one process got of another came in the order in which that one put it.
fn in_order(log: &[u64], producers: usize) -> Result<()> {
    let mut last = vec![0; producers + 1];
    for &id in log {
        let (producer, number) = split(id);
        let Some(last) = last.get_mut(producer) else {
            bail!("an item of process {producer}, which does not exist");
        };
        ensure!(
            number > *last,
            "item {number} of process {producer} came after {last}"
        );
        *last = number;
    }
    Ok(())
}
