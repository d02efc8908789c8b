//! The least that the system asks for each row, in a few lines without this crate; for the rows
//! that threads can do, the fastest crate for threads.

use std::io::{Read, Write};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use common::Process;
use crossbeam_channel::bounded;
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, fork};
use rayon::prelude::*;

use crate::crates;
use benchmarks::mutex::{Counter, shared};
use benchmarks::work::{HEIGHT, MIB, Timed, WIDTH, collatz, cores, mandelbrot_row, with_another};

pub fn timed(row: &str) -> Option<Timed> {
    Some(match row {
        "start" => fork_and_wait,
        "lock" => |n| mutex(n, false),
        "lock-2" => |n| mutex(n, true),
        "queue" => |n| channel(n, 1),
        "queue-2-2" => |n| channel(n, 2),
        "bytes" => copy,
        "echo" | "apply" => pipe,
        "manager" => |n| crates::echo(4 * n),
        "map" => rayon_map,
        "mandelbrot" => rayon_mandelbrot,
        _ => return None,
    })
}

fn fork_and_wait(n: u64) -> Result<Duration> {
    let start = Instant::now();
    for _ in 0..n {
        // SAFETY: the child only ends.
        match unsafe { fork() }? {
            // SAFETY: as above.
            ForkResult::Child => unsafe { libc::_exit(0) },
            ForkResult::Parent { child } => waitpid(child, None)?,
        };
    }
    Ok(start.elapsed())
}

fn mutex(n: u64, contended: bool) -> Result<Duration> {
    let counter = Counter::new()?;
    with_another(contended, n, |n| counter.add(n))
}

/// Between threads, with as much room as a queue has for such items.
fn channel(n: u64, pairs: u64) -> Result<Duration> {
    let (sender, receiver) = bounded(MIB / 12);
    thread::scope(|scope| {
        for _ in 0..pairs {
            let sender = sender.clone();
            scope.spawn(move || (0..n / pairs).try_for_each(|item| sender.send(item)));
        }
        let start = Instant::now();
        for _ in 1..pairs {
            let receiver = receiver.clone();
            scope.spawn(move || (0..n / pairs).try_for_each(|_| receiver.recv().map(drop)));
        }
        for _ in 0..n / pairs {
            receiver.recv()?;
        }
        Ok(start.elapsed())
    })
}

fn copy(n: u64) -> Result<Duration> {
    let from = vec![7_u8; MIB];
    let to: *mut u8 = shared(MIB)?;
    let start = Instant::now();
    for _ in 0..n {
        // SAFETY: a mebibyte each, which do not overlap. The barrier keeps the copies apart.
        unsafe { to.copy_from_nonoverlapping(std::hint::black_box(&from).as_ptr(), MIB) };
        std::hint::black_box(to);
    }
    Ok(start.elapsed())
}

fn pipe(n: u64) -> Result<Duration> {
    let ((mut there, mut to), (mut back, mut from)) = (std::io::pipe()?, std::io::pipe()?);
    let _echo = Process::spawn("echo", || -> Result<()> {
        let mut bytes = [0; 8];
        loop {
            there.read_exact(&mut bytes)?;
            from.write_all(&bytes)?;
        }
    })?;
    let mut bytes = [7; 8];
    let mut once = || -> Result<()> {
        to.write_all(&bytes)?;
        Ok(back.read_exact(&mut bytes)?)
    };
    once()?;
    let start = Instant::now();
    for _ in 0..n {
        once()?;
    }
    Ok(start.elapsed())
}

fn rayon() -> Result<rayon::ThreadPool> {
    Ok(rayon::ThreadPoolBuilder::new()
        .num_threads(cores())
        .build()?)
}

fn rayon_map(n: u64) -> Result<Duration> {
    rayon()?.install(|| {
        let start = Instant::now();
        let lengths: Vec<u32> = (1..=n).into_par_iter().map(collatz).collect();
        let time = start.elapsed();
        lengths.last().context("no lengths")?;
        Ok(time)
    })
}

fn rayon_mandelbrot(n: u64) -> Result<Duration> {
    let mut picture = vec![0_u16; WIDTH * HEIGHT];
    let paint = |(y, row): (usize, &mut [u16])| {
        for (pixel, steps) in row.iter_mut().zip(mandelbrot_row(y)) {
            *pixel = steps;
        }
    };
    rayon()?.install(|| {
        let start = Instant::now();
        for _ in 0..n {
            let rows = picture.par_chunks_mut(WIDTH).enumerate();
            rows.for_each(paint);
        }
        Ok(start.elapsed())
    })
}
