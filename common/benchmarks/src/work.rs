//! The work that is measured, and how it is timed.

use std::fs;
use std::num::NonZeroUsize;
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use common::{Process, Queue};
use nix::time::{ClockId, clock_getcpuclockid, clock_gettime};
use nix::unistd::{Pid, getpid};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

/// A mebibyte.
pub const MIB: usize = 1 << 20;

/// Does something a number of times and says how long that took, without making ready for it.
pub type Timed = fn(u64) -> Result<Duration>;

/// The same, with what was made ready for it.
pub type Prepared = Box<dyn Fn(u64) -> Result<Duration>>;

/// Seconds per operation. The number of operations grows from `least` to at most `most`, until
/// they take the `budget`; the shorter runs before are the warm-up.
///
/// # Errors
/// Those of the work.
pub fn per_operation(
    timed: impl Fn(u64) -> Result<Duration>,
    least: u64,
    most: u64,
    budget: Duration,
) -> Result<f64> {
    let mut n = least;
    loop {
        let time = timed(n)?;
        if time >= budget || n >= most {
            return Ok(time.as_secs_f64() / n as f64);
        }
        let factor = 1.2 * budget.as_secs_f64() / time.as_secs_f64().max(1e-9);
        n = most.min((n as f64 * factor.clamp(2.0, 50.0)) as u64);
    }
}

/// Does `n` operations here, or half of them here and half in another process at the same time.
///
/// # Errors
/// Those of the work; the other process ends with one, or cannot be started.
pub fn with_another(
    another: bool,
    n: u64,
    work: impl Fn(u64) -> Result<()> + Sync,
) -> Result<Duration> {
    if !another {
        let start = Instant::now();
        work(n)?;
        return Ok(start.elapsed());
    }
    let (ready, go) = (Queue::new()?, Queue::new()?);
    let mut other = Process::spawn("another", || -> Result<()> {
        ready.put(&())?;
        let () = go.get()?;
        work(n / 2)
    })?;
    let () = ready.get()?;
    let start = Instant::now();
    go.put(&())?;
    work(n / 2)?;
    let ended = other.join()?;
    ensure!(ended.success(), "the other process: {ended}");
    Ok(start.elapsed())
}

/// How many numbers it takes from `number` to 1: some 200 ns for numbers up to a million.
pub fn collatz(mut number: u64) -> u32 {
    let mut length = 1;
    while number > 1 {
        number = if number.is_multiple_of(2) {
            number / 2
        } else {
            3 * number + 1
        };
        length += 1;
    }
    length
}

/// How wide the picture of the Mandelbrot set is.
pub const WIDTH: usize = 1600;
/// How high it is.
pub const HEIGHT: usize = 1200;

/// A row of the picture: for each pixel, how many steps z = z² + c takes to leave the circle of
/// radius 2, or 500.
pub fn mandelbrot_row(y: usize) -> impl Iterator<Item = u16> {
    let imaginary = 1.3125 - (y as f64 + 0.5) * 2.625 / HEIGHT as f64;
    (0..WIDTH).map(move |x| {
        let real = (x as f64 + 0.5) * 3.5 / WIDTH as f64 - 2.4;
        let (mut zr, mut zi, mut steps) = (0.0, 0.0, 0);
        while zr * zr + zi * zi <= 4.0 && steps < 500 {
            (zr, zi) = (zr * zr - zi * zi + real, 2.0 * zr * zi + imaginary);
            steps += 1;
        }
        steps
    })
}

/// As many workers as the machine can run at a time.
pub fn cores() -> usize {
    available_parallelism().map_or(1, NonZeroUsize::get)
}

/// A kibibyte with something to allocate at its end.
#[derive(Clone, Serialize, Deserialize)]
pub struct Letter {
    to: String,
    numbers: Vec<f64>,
}

/// Each is the same.
impl Default for Letter {
    fn default() -> Self {
        Letter {
            to: "a".repeat(512),
            numbers: vec![7.5; 64],
        }
    }
}

/// A mebibyte that is copied as a whole: serde takes a `Vec<u8>` byte by byte.
pub fn buffer() -> ByteBuf {
    ByteBuf::from(vec![7; MIB])
}

/// The CPU time that this process and all below it have used, to the nanosecond.
///
/// # Errors
/// One of them ends meanwhile.
pub fn cpu_of_children() -> Result<Duration> {
    fn cpu(pid: Pid) -> Result<Duration> {
        let clock: ClockId = clock_getcpuclockid(pid)?;
        let mut sum = Duration::from(clock_gettime(clock)?);
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
        for child in children.split_whitespace() {
            sum += cpu(Pid::from_raw(child.parse()?))?;
        }
        Ok(sum)
    }
    cpu(getpid()).context("the CPU time of the workers")
}
