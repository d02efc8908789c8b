//! What the user types, and what is seen while the processes compute.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::{env, thread};

use anyhow::{Result, bail};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::picture::Size;

const USAGE: &str = "\
usage: mandelbrot [--workers N] [--size WIDTHxHEIGHT] [--output FILE.png]
with N from 1 to 256, WIDTH and HEIGHT from 1 to 8192";

/// Workers, size and output. Read by hand: a crate for that would hardly save a line here.
pub fn arguments() -> Result<(usize, Size, PathBuf)> {
    let mut workers = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let (width, height) = (1600, 1200);
    let mut size = Size { width, height };
    // Beside the program, in Cargo's target folder, wherever it is run from.
    let mut output = env::current_exe()?.with_extension("png");

    let mut words = env::args_os().skip(1);
    while let Some(option) = words.next() {
        let value = words.next().unwrap_or_default();
        let (option, text) = (option.to_string_lossy(), value.to_string_lossy());
        match (&*option, number(&text, 256), sides(&text)) {
            ("--workers", Some(number), _) => workers = number,
            ("--size", _, Some((width, height))) => size = Size { width, height },
            ("--output", ..) if !value.is_empty() => output = PathBuf::from(value),
            _ => bail!(
                "cannot use \"{}\"\n{USAGE}",
                format!("{option} {text}").trim_end()
            ),
        }
    }
    Ok((workers, size, output))
}

fn number(text: &str, most: usize) -> Option<usize> {
    text.parse()
        .ok()
        .filter(|number| (1..=most).contains(number))
}

/// A picture of the longest sides takes 200 MB.
fn sides(text: &str) -> Option<(usize, usize)> {
    let (width, height) = text.split_once('x')?;
    Some((number(width, 8192)?, number(height, 8192)?))
}

/// On a terminal a bar for each worker, else a line for each quarter. The crate indicatif starts
/// no thread for this, so a process that can fork stays one.
pub struct Progress {
    rows: u64,
    done: u64,
    workers: u64,
    bars: MultiProgress,
    by_pid: Vec<(u32, ProgressBar)>,
}

impl Progress {
    pub fn new(rows: usize, workers: usize) -> Self {
        Progress {
            rows: rows as u64,
            done: 0,
            workers: workers as u64,
            bars: MultiProgress::with_draw_target(ProgressDrawTarget::stdout()),
            by_pid: Vec::new(),
        }
    }

    /// The worker with this pid has done another row.
    pub fn row_done(&mut self, pid: u32) -> Result<()> {
        if !self.by_pid.iter().any(|(known, _)| *known == pid) {
            let bar = self.bars.add(ProgressBar::new(self.rows));
            let template = format!("  worker {pid:<7} {{wide_bar}} {{pos:>4}} rows");
            bar.set_style(ProgressStyle::with_template(&template)?);
            self.by_pid.push((pid, bar));
        }
        self.done += 1;
        for (worker, bar) in &self.by_pid {
            bar.inc(u64::from(*worker == pid));
            // A bar is full at what its worker will have done with its share of the rest.
            bar.set_length(bar.position() + (self.rows - self.done) / self.workers);
        }
        let quarters = |rows| 4 * rows / self.rows;
        if self.bars.is_hidden() && quarters(self.done) > quarters(self.done - 1) {
            println!("  {} of {} rows", self.done, self.rows);
        }
        Ok(())
    }

    /// Leaves on the screen who did how many.
    pub fn finish(self) {
        for (pid, bar) in &self.by_pid {
            bar.finish();
            if self.bars.is_hidden() {
                println!("  worker {pid}: {} rows", bar.position());
            }
        }
    }
}
