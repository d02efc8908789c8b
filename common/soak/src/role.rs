//! A process in a random role: it does random things with what all processes share, until the
//! round is over or somebody kills it.

use std::hint;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use common::{
    Array, GetError, Guard, Lock, LockError, LockProxy, Manager, ManagerError, PipeError, Pool,
    Process, PutError, Queue, Value, ValueProxy, pipe,
};

use crate::PATIENCE;
use crate::item::Item;
use crate::ledger::{Deed, Ledger, Row};
use crate::random::Random;

/// What the processes of a round share.
pub struct Stage {
    pub queue: Queue<Item>,
    /// Guards the reading and the writing of `counter` together.
    pub lock: Lock,
    pub counter: Value<u64>,
    /// All the same, unless somebody died while changing them.
    pub equal: Array<u64>,
    pub manager: Manager,
    pub manager_lock: LockProxy,
    /// All the same, always: a proxy sets its value whole.
    pub manager_equal: ValueProxy<Vec<u64>>,
    /// Whether somebody will kill the manager's server.
    pub manager_dies: bool,
    pub end: Instant,
}

pub struct Role<'a> {
    pub id: usize,
    pub stage: &'a Stage,
    pub ledger: &'a Ledger,
    pub random: Random,
}

impl Role<'_> {
    /// The whole life of the process. An error is a broken promise of the library.
    pub fn play(mut self) -> Result<()> {
        // Some only produce, some only consume, some do a bit of everything.
        let liking = [(); 6].map(|()| self.random.pick(&[0, 0, 1, 4, 16]));
        let families = u64::from(self.random.once_in(3));
        let total = liking.iter().sum::<u64>() + families;
        while total > 0 && Instant::now() < self.stage.end {
            let mut choice = self.random.below(total);
            let chosen = liking.iter().position(|&share| {
                let hit = choice < share;
                choice = choice.wrapping_sub(share);
                hit
            });
            match chosen {
                Some(0) => self.put()?,
                Some(1 | 2) => self.get()?,
                Some(3) => self.count_under_lock()?,
                Some(4) => self.count_in_array()?,
                Some(5) => self.count_in_manager()?,
                _ => self.raise_a_family()?,
            }
        }
        Ok(())
    }

    fn put(&mut self) -> Result<()> {
        let item = Item::new(self.id, self.ledger.begin(Deed::Put)?, &mut self.random);
        let limit = self.limit();
        match self.limited(limit, |stage| stage.queue.put_timeout(&item, limit))? {
            Ok(()) => self.ledger.finish(Deed::Put),
            Err(PutError::Full) => {
                self.ledger.add(Row::TimeOuts, 1)?;
                self.ledger.cancel(Deed::Put)
            }
            Err(error) => bail!(error),
        }
    }

    fn get(&mut self) -> Result<()> {
        if self.random.once_in(16) {
            self.stage.queue.len()?;
        }
        if !self.ledger.has_room()? {
            sleep(Duration::from_millis(1));
            return Ok(());
        }
        self.ledger.begin(Deed::Get)?;
        let limit = self.limit();
        match self.limited(limit, |stage| stage.queue.get_timeout(limit))? {
            Ok(item) => {
                self.ledger.finish_get(item.id)?;
                item.verify()
            }
            Err(GetError::Empty) => {
                self.ledger.add(Row::TimeOuts, 1)?;
                self.ledger.cancel(Deed::Get)
            }
            Err(error) => bail!(error),
        }
    }

    /// Reads under the lock, writes under the lock: without it, increments would be lost.
    fn count_under_lock(&mut self) -> Result<()> {
        let Role { stage, ledger, .. } = *self;
        ledger.begin(Deed::LockCount)?;
        let guard = self.waited("a lock", || stage.lock.lock_timeout(PATIENCE))?;
        let (guard, _) = recovered(ledger, guard, || stage.lock.recover())?;
        let counted = || recovered(ledger, stage.counter.lock(), || stage.counter.recover());
        let before = *counted()?.0;
        self.dawdle();
        *counted()?.0 = before + 1;
        drop(guard);
        ledger.finish(Deed::LockCount)
    }

    fn count_in_array(&mut self) -> Result<()> {
        let Role { stage, ledger, .. } = *self;
        ledger.begin(Deed::ArrayCount)?;
        let guard = self.waited("an array's lock", || stage.equal.lock_timeout(PATIENCE))?;
        let (mut all, owner_died) = recovered(ledger, guard, || stage.equal.recover())?;
        if owner_died {
            // Whoever had begun to count has counted.
            let most = all.iter().copied().max().unwrap_or_default();
            all.fill(most);
        }
        ensure!(all_equal(&all), "nobody said that the array's owner died");
        let half = all.len() / 2;
        all[..half].iter_mut().for_each(|one| *one += 1);
        self.dawdle();
        all[half..].iter_mut().for_each(|one| *one += 1);
        drop(all);
        ledger.finish(Deed::ArrayCount)
    }

    fn count_in_manager(&mut self) -> Result<()> {
        let Role { stage, ledger, .. } = *self;
        ledger.begin(Deed::ManagerCount)?;
        let counted = self.waited("the manager", || {
            let _guard = stage.manager_lock.lock()?;
            let mut all = stage.manager_equal.get()?;
            all.iter_mut().for_each(|one| *one += 1);
            stage.manager_equal.set(&all)?;
            Ok(all)
        })?;
        match counted {
            Ok(all) => ensure!(all_equal(&all), "the manager's value is torn"),
            Err(ManagerError::Gone { .. }) if stage.manager_dies => {
                ledger.add(Row::Gone, 1)?;
                sleep(Duration::from_millis(1));
                // Begun it stays: perhaps it was done, and the reply was lost.
                return Ok(());
            }
            Err(error) => bail!(error),
        }
        ledger.finish(Deed::ManagerCount)
    }

    /// Starts processes of its own, which must go when this one is killed.
    fn raise_a_family(&mut self) -> Result<()> {
        match self.random.below(4) {
            0 => {
                let pool = Pool::new(2, |number: u64| anyhow::Ok(number + 1))?;
                let numbers = self.waited("a map", || pool.map(0..20))??;
                ensure!(numbers.into_iter().eq(1..=20), "wrong results of a pool");
                self.ledger.add(Row::Families, 1)?;
                if self.random.once_in(2) {
                    self.waited("a pool's end", || pool.join())??;
                }
            }
            1 => {
                let manager = Manager::start()?;
                let number = manager.value(self.id)?;
                ensure!(number.get()? == self.id, "wrong value of a manager");
                self.ledger.add(Row::Families, 1)?;
            }
            _ => self.talk()?,
        }
        self.ledger.add(Row::Operations, 1)
    }

    /// Talks to a child through a pipe, and may kill it in the middle.
    fn talk(&mut self) -> Result<()> {
        let (ours, theirs) = pipe::<Item, Item>()?;
        let mut echo = Process::spawn("echo", move || -> Result<()> {
            loop {
                match theirs.recv() {
                    Ok(item) => theirs.send(&item)?,
                    Err(PipeError::Closed) => return Ok(()),
                    Err(error) => bail!(error),
                }
            }
        })?;
        let rounds = self.random.below(50);
        for number in 1..=rounds {
            let item = Item::new(self.id, number, &mut self.random);
            ours.send(&item)?;
            let back = self.waited("a reply", || ours.recv_timeout(PATIENCE))??;
            back.verify()?;
            ensure!(back.id == item.id, "a reply to another message");
            self.ledger.add(Row::RoundTrips, 1)?;
        }
        if self.random.once_in(2) {
            ours.send(&Item::new(self.id, rounds + 1, &mut self.random))?;
            echo.kill()?;
            echo.join()?;
            self.ledger.add(Row::KillEcho, 1)?;
            return self.last_words(|| ours.recv_timeout(PATIENCE));
        }
        drop(ours);
        let status = self.waited("a child's end", || echo.join_timeout(PATIENCE))??;
        ensure!(
            status.is_some_and(|status| status.success()),
            "after its pipe was closed, a child ended with {status:?}"
        );
        Ok(())
    }

    /// Of a killed process: perhaps one more reply, then that it died.
    fn last_words(&self, recv: impl Fn() -> Result<Item, PipeError>) -> Result<()> {
        for _ in 0..2 {
            match self.waited("last words", &recv)? {
                Ok(item) => item.verify()?,
                Err(PipeError::Died { .. }) => return Ok(()),
                Err(error) => bail!(error),
            }
        }
        bail!("a killed process sent two replies to one message")
    }

    /// Often no time at all.
    fn limit(&mut self) -> Duration {
        let end = self.random.pick(&[1, 1, 1000, 20_000]);
        self.random.micros(end)
    }

    /// Spends some time while holding a lock, so that a kill finds it held.
    fn dawdle(&mut self) {
        match self.random.below(16) {
            0 => sleep(self.random.micros(500)),
            1..4 => (0..self.random.below(5000)).for_each(|_| hint::spin_loop()),
            _ => {}
        }
    }

    /// Notes how late a call with a time limit came back.
    fn limited<T>(&self, limit: Duration, call: impl FnOnce(&Stage) -> T) -> Result<T> {
        let start = Instant::now();
        let result = call(self.stage);
        let late = start.elapsed().saturating_sub(limit);
        ensure!(late < PATIENCE, "a timeout was {late:?} late");
        self.ledger
            .at_least(Row::LatestTimeOut, late.as_millis() as u64)?;
        Ok(result)
    }

    /// Notes how long a call took that must not take long.
    fn waited<T>(&self, what: &str, call: impl FnOnce() -> T) -> Result<T> {
        let start = Instant::now();
        let result = call();
        let waited = start.elapsed();
        ensure!(waited < PATIENCE, "waited {waited:?} for {what}");
        self.ledger
            .at_least(Row::LongestWait, waited.as_millis() as u64)?;
        Ok(result)
    }
}

/// The guard, after a recovery if that is what it takes, and whether it was.
pub fn recovered<'a, T: ?Sized>(
    ledger: &Ledger,
    taken: Result<Guard<'a, T>, LockError>,
    recover: impl FnOnce() -> Result<Guard<'a, T>, LockError>,
) -> Result<(Guard<'a, T>, bool)> {
    match taken {
        Err(LockError::OwnerDied) => {
            ledger.add(Row::Recoveries, 1)?;
            Ok((recover()?, true))
        }
        taken => Ok((taken?, false)),
    }
}

pub fn all_equal(numbers: &[u64]) -> bool {
    numbers.windows(2).all(|pair| pair[0] == pair[1])
}
