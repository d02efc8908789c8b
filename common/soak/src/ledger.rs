//! The books: what each process writes down in shared memory, where its death leaves it.
//!
//! A process writes into its own ledger alone, and others read it when that process has ended.
//! Each deed is announced before it and confirmed after it, so a kill leaves at most one deed of
//! each kind open: begun, and perhaps done.

use anyhow::Result;
use common::Array;

macro_rules! rows {
    ($($row:ident $label:literal,)*) => {
        /// What is counted, in the order of the table.
        #[derive(Clone, Copy, PartialEq)]
        pub enum Row { $($row),* }
        pub const ROWS: &[(Row, &str)] = &[$((Row::$row, $label)),*];
    };
}

rows! {
    Rounds "rounds",
    RoundsKilled "  of them ended by killing the process that ran them",
    Processes "processes in random roles",
    Operations "operations",
    TimeOuts "  of them timed out, as they may",
    LockCounts "  increments under a Lock of a Value",
    ArrayCounts "  increments under an Array's own lock",
    ManagerCounts "  increments under a manager's lock",
    RoundTrips "  round trips through a pipe",
    Families "  pools and managers owned by a process that may be killed",
    Tasks "  tasks of the pool",
    KillSigkill "kills by SIGKILL",
    KillSigterm "kills by SIGTERM",
    KillSigsegv "kills by SIGSEGV",
    KillSigabrt "kills by SIGABRT",
    KillManager "kills of a manager's server",
    KillSupervisor "kills of a pool's supervisor",
    KillEcho "kills of the process at a pipe's other end",
    ItemsIn "items in",
    ItemsOut "items out",
    LostInHand "lost in the hands of a killed consumer",
    CutShort "puts cut short by a kill",
    CutShortIn "  of them in all the same",
    Recoveries "lock recoveries",
    Gone "calls of a killed manager, refused",
    TaskResult "pool: results",
    TaskFailed "pool: failed",
    TaskPanicked "pool: panicked",
    TaskDied "pool: died with its worker",
    TaskPoolFailed "pool: refused, as its supervisor was killed",
    LongestWait "longest wait for a lock, a reply or a child, in ms",
    LatestTimeOut "latest return from a timeout, in ms after its limit",
}

/// What is announced and confirmed.
#[derive(Clone, Copy, Debug)]
pub enum Deed {
    Put,
    Get,
    LockCount,
    ArrayCount,
    ManagerCount,
}

const DEEDS: usize = 5;
const BEGUN: usize = ROWS.len();
const DONE: usize = BEGUN + DEEDS;
const LOG: usize = DONE + DEEDS;
/// How many items one process may take.
const LONGEST_LOG: usize = 1 << 16;

pub struct Ledger(Array<u64>);

impl Ledger {
    pub fn new() -> Result<Self> {
        Ok(Ledger(Array::new(&[0; LOG + LONGEST_LOG])?))
    }

    pub fn add(&self, row: Row, count: u64) -> Result<()> {
        self.0.lock()?[row as usize] += count;
        Ok(())
    }

    pub fn at_least(&self, row: Row, count: u64) -> Result<()> {
        let mut all = self.0.lock()?;
        all[row as usize] = all[row as usize].max(count);
        Ok(())
    }

    /// Announces a deed and returns its number, from 1.
    pub fn begin(&self, deed: Deed) -> Result<u64> {
        let mut all = self.0.lock()?;
        all[Row::Operations as usize] += 1;
        let number = all[DONE + deed as usize] + 1;
        all[BEGUN + deed as usize] = number;
        Ok(number)
    }

    /// The announced deed is done.
    pub fn finish(&self, deed: Deed) -> Result<()> {
        let mut all = self.0.lock()?;
        all[DONE + deed as usize] = all[BEGUN + deed as usize];
        Ok(())
    }

    /// The announced deed will not be done.
    pub fn cancel(&self, deed: Deed) -> Result<()> {
        let mut all = self.0.lock()?;
        all[BEGUN + deed as usize] = all[DONE + deed as usize];
        Ok(())
    }

    /// An announced `Get` is done: it got this item, whose id is not zero. One store commits
    /// that, whatever the order of the others.
    pub fn finish_get(&self, id: u64) -> Result<()> {
        let mut all = self.0.lock()?;
        let number = all[BEGUN + Deed::Get as usize];
        all[LOG + number as usize - 1] = id;
        all[DONE + Deed::Get as usize] = number;
        Ok(())
    }

    pub fn has_room(&self) -> Result<bool> {
        Ok(self.0.lock()?[DONE + Deed::Get as usize] < LONGEST_LOG as u64)
    }

    /// Closes the books of a process that has ended, perhaps while it wrote here.
    pub fn close(self) -> Result<Book> {
        let all = self.0.recover()?;
        let log = &all[LOG..];
        let items = log.iter().take_while(|&&id| id != 0).copied().collect();
        Ok(Book {
            rows: all[..BEGUN].to_vec(),
            begun: all[BEGUN..DONE].to_vec(),
            done: all[DONE..LOG].to_vec(),
            items,
        })
    }
}

/// A copy of a closed ledger.
pub struct Book {
    rows: Vec<u64>,
    begun: Vec<u64>,
    done: Vec<u64>,
    /// The items taken, in order.
    pub items: Vec<u64>,
}

impl Book {
    pub fn row(&self, row: Row) -> u64 {
        self.rows[row as usize]
    }

    pub fn done(&self, deed: Deed) -> u64 {
        match deed {
            Deed::Get => self.items.len() as u64,
            _ => self.done[deed as usize],
        }
    }

    /// Whether a deed was begun and perhaps done.
    pub fn is_open(&self, deed: Deed) -> bool {
        self.begun[deed as usize] > self.done(deed)
    }

    /// Adds its counts to another ledger.
    pub fn add_to(&self, sum: &Ledger) -> Result<()> {
        for &(row, _) in ROWS {
            match row {
                Row::LongestWait | Row::LatestTimeOut => sum.at_least(row, self.row(row))?,
                _ => sum.add(row, self.row(row))?,
            }
        }
        Ok(())
    }
}
