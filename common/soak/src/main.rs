//! A soak: random operations by random processes, with random kills, and exact accounts.
//!
//! `cargo run --release -p soak -- --seconds 60`
//!
//! It runs in rounds. Each round is a process that makes shared objects of every kind, lets some
//! processes in random roles use them, kills some of those at random moments, and at the end
//! holds what came out against what went in:
//!
//! - an item of the queue comes out whole, once, and in its producer's order, or was in the hands
//!   of a killed consumer, at most one for each;
//! - a counter under a lock is what all have counted, whoever was killed while holding the lock;
//! - a task of a pool has exactly one outcome, which fits it, and the pool is whole again;
//! - no call takes much longer than it may.
//!
//! This process, above the rounds, notices a round that hangs. Some rounds it kills. After each
//! it adopts whatever process was left behind, which must end at once.
//!
//! | file | holds |
//! |---|---|
//! | `main.rs` | the rounds, and what they may not leave behind |
//! | `round.rs` | a round: its processes, the kills, the audit |
//! | `role.rs` | what a process does in a round |
//! | `crew.rs` | the pool of a round, and what its tasks do |
//! | `item.rs` | what travels through the queue |
//! | `ledger.rs` | accounts that survive those who keep them; the rows of the table |
//! | `system.rs` | what the system knows of this program |
//! | `random.rs` | random numbers |

mod crew;
mod item;
mod ledger;
mod random;
mod role;
mod round;
mod system;

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};
use clap::{Parser, value_parser};
use common::Process;
use nix::errno::Errno;
use nix::sys::prctl::set_child_subreaper;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, alarm};

use ledger::{Book, Ledger, ROWS, Row};
use random::Random;
use system::{descendants, descriptors, names};

/// What takes longer than this hangs, on a busy machine too.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a process may outlive its parent.
const GRACE: Duration = Duration::from_secs(3);
const ROUND: Duration = Duration::from_millis(1500);
/// What kills, and where it is counted.
const SIGNALS: [(Signal, Row); 4] = [
    (Signal::SIGKILL, Row::KillSigkill),
    (Signal::SIGTERM, Row::KillSigterm),
    (Signal::SIGSEGV, Row::KillSigsegv),
    (Signal::SIGABRT, Row::KillSigabrt),
];

/// Random operations by random processes, with random kills, and exact accounts.
#[derive(Parser)]
struct Arguments {
    /// How long to run.
    #[arg(long, value_name = "N", default_value_t = 60)]
    #[arg(value_parser = value_parser!(u64).range(1..=1_000_000))]
    seconds: u64,
    /// The same seed draws the same random numbers [default: one from the clock].
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
}

fn main() -> Result<()> {
    common::end_on_broken_pipe();
    let Arguments { seconds, seed } = Arguments::parse();
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let seed = seed.unwrap_or(now.as_micros() as u64 % 1_000_000_000);
    println!("soak: --seconds {seconds} --seed {seed}");
    // A child whose parent was killed becomes a child of this process, not of init.
    set_child_subreaper(true)?;
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;

    let totals = Ledger::new()?;
    let outcome = soak(Duration::from_secs(seconds), seed, &totals);
    print_table(&totals.close()?);
    outcome
}

fn soak(length: Duration, seed: u64, totals: &Ledger) -> Result<()> {
    let (end, mut random) = (Instant::now() + length, Random::new(seed));
    let (names_before, descriptors_before) = (names()?, descriptors()?);
    for number in 1.. {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        run_round(number, left.min(ROUND), &mut random.fork(), totals)
            .with_context(|| format!("round {number} of --seed {seed}"))?;
        ensure!(
            descriptors()? == descriptors_before,
            "{descriptors_before} descriptors before round {number} of --seed {seed}, {} after",
            descriptors()?
        );
    }
    let left: Vec<_> = names()?.difference(&names_before).cloned().collect();
    ensure!(left.is_empty(), "files were left: {left:?}");
    Ok(())
}

fn run_round(number: u32, length: Duration, random: &mut Random, totals: &Ledger) -> Result<()> {
    // If this process itself hangs, the kernel ends it; its children go with it.
    alarm::set(60 + PATIENCE.as_secs() as u32);
    let inner = random.fork();
    let mut round = Process::spawn(format!("round {number}"), || {
        round::run(inner, length, totals)
    })?;
    let killed_after = random
        .once_in(6)
        .then(|| random.micros(length.as_micros() as u64));
    let status = match round.join_timeout(killed_after.unwrap_or(length + 4 * PATIENCE))? {
        Some(status) => status,
        None if killed_after.is_some() => {
            let (signal, row) = random.pick(&SIGNALS);
            totals.add(Row::RoundsKilled, 1)?;
            totals.add(row, 1)?;
            let status = strike(&mut round, signal)?;
            ensure!(status.signal().is_some(), "killed, and ended with {status}");
            adopt_and_bury()?;
            return Ok(());
        }
        None => bail!("it hangs:\n{}", descendants()),
    };
    ensure!(status.success(), "it ended with {status}: see above");
    adopt_and_bury()?;
    alarm::cancel();
    Ok(())
}

/// Sends the signal until the process has ended: Rust's runtime catches the first `SIGSEGV`, to
/// see whether it is a stack overflow, and lets the next one through.
fn strike(process: &mut Process, signal: Signal) -> Result<ExitStatus> {
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        // A child that was not joined yet, so the pid is nobody else's.
        kill(Pid::from_raw(process.pid() as i32), signal)?;
        if let Some(status) = process.join_timeout(Duration::from_millis(5))? {
            return Ok(status);
        }
    }
    bail!("{} survives {signal}", process.name());
}

/// Waits for the end of all processes whose parents have ended, which must be soon.
fn adopt_and_bury() -> Result<()> {
    let start = Instant::now();
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Err(Errno::ECHILD) => return Ok(()),
            Ok(WaitStatus::StillAlive) if start.elapsed() > GRACE => {
                bail!("processes outlive their parent:\n{}", descendants());
            }
            Ok(WaitStatus::StillAlive) => sleep(Duration::from_millis(1)),
            Ok(_) => {}
            Err(error) => bail!(error),
        }
    }
}

fn print_table(totals: &Book) {
    for &(row, label) in ROWS {
        println!("{label:<58}{:>16}", totals.row(row));
    }
}
