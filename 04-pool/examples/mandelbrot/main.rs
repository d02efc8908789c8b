//! A real job: the Mandelbrot set, painted by a pool of processes and then by rayon's threads.
//!
//!     cargo run --release -p pool --example mandelbrot -- \
//!         [--workers N] [--size WIDTHxHEIGHT] [--output FILE.png]
//!
//! A task is one row. A worker computes it for itself, and holds the array's lock only while it
//! copies it into shared memory. What it returns is its pid: so the parent knows whose bar grows.
//!
//! `picture.rs` has the formula, `terminal.rs` the arguments and the bars, `load.rs` tells whether
//! other programs spoil the figures.
//!
//! Output: pattern. Times and ratios are masked, pids, and who did how many rows.

mod load;
mod picture;
mod terminal;

use std::fs::File;
use std::hint::black_box;
use std::process;

use anyhow::{Context, Result, ensure};
use common::{Array, LockError, Pool};
use rayon::ThreadPoolBuilder;
use rayon::prelude::*;

use load::{Took, Watch, warning};
use picture::{Colour, Size};
use terminal::{Arguments, Progress, arguments};

/// One process does this part of the rows only, or the others' time would not matter any more.
const SAMPLE: usize = 8;

fn by_one_process(size: Size) -> Result<Took> {
    let (watch, rows) = (Watch::start()?, (0..size.height).step_by(SAMPLE));
    let part = rows.len() as f64 / size.height as f64;
    for y in rows {
        black_box(size.row(y));
    }
    let took = watch.stop(1)?;
    let time = took.time.div_f64(part);
    Ok(Took { time, ..took })
}

fn by_processes(size: Size, workers: usize, picture: &Array<Colour>) -> Result<Took> {
    let watch = Watch::start()?;
    let task = |y: usize| -> Result<u32, LockError> {
        let row = size.row(y);
        picture.lock()?[y * size.width..][..size.width].copy_from_slice(&row);
        Ok(process::id())
    };
    let pool = Pool::new(workers, task)?;
    let mut progress = Progress::new(size.height, workers);
    for pid in pool.imap_unordered(0..size.height) {
        progress.row_done(pid?)?;
    }
    progress.finish();
    pool.join()?;
    watch.stop(workers)
}

fn by_threads(size: Size, workers: usize, picture: &mut [Colour]) -> Result<Took> {
    let watch = Watch::start()?;
    let pool = ThreadPoolBuilder::new().num_threads(workers).build()?;
    let rows = picture.par_chunks_mut(size.width).enumerate();
    pool.install(|| rows.for_each(|(y, row)| row.copy_from_slice(&size.row(y))));
    watch.stop(workers)
}

fn main() -> Result<()> {
    common::end_on_broken_pipe();
    let Arguments {
        workers,
        size,
        output,
    } = arguments()?;
    // Before the work, or its error would come after it.
    let file = File::create(&output).with_context(|| format!("cannot write {output:?}"))?;
    println!(
        "{} by {} pixels, workers: {workers}",
        size.width, size.height
    );

    let alone = by_one_process(size)?;
    println!("one process: {:.2?}, from every eighth row", alone.time);
    let report = |who, took: &Took| {
        let ratio = alone.time.as_secs_f64() / took.time.as_secs_f64();
        println!("{who}: {:.2?}, {ratio:.2} times as fast", took.time);
    };

    let mut picture = vec![[0; 3]; size.width * size.height];
    let shared = Array::new(&picture)?;
    let processes = by_processes(size, workers, &shared)?;
    report("processes", &processes);
    let threads = by_threads(size, workers, &mut picture)?;
    report("threads of rayon", &threads);
    if let Some(warning) = warning(&[alone, processes, threads]) {
        println!("{warning}");
    }
    ensure!(*shared.lock()? == picture[..], "their pictures differ");

    let written = size.write(file, &picture);
    written.with_context(|| format!("cannot write {output:?}"))?;
    println!("Both painted the same: {}", output.display());
    Ok(())
}
