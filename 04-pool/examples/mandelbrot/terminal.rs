//! What the user types, and what is seen while the processes compute.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::{env, process, thread};

use anyhow::{Result, bail};
use bpaf::{Args, ParseFailure, Parser, construct, long};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::picture::Size;

#[derive(Clone)]
pub struct Arguments {
    pub workers: usize,
    pub size: Size,
    pub output: PathBuf,
}

/// What the user types. `--help` ends the program.
pub fn arguments() -> Result<Arguments> {
    let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let workers = long("workers")
        .help("Processes, and then threads: from 1 to 256 [default: one a core]")
        .argument::<String>("N")
        .parse(|text| number(&text, 256))
        .fallback(cores);
    let size = long("size")
        .help("The picture's sides, from 1 to 8192 each [default: 1600x1200]")
        .argument::<String>("WIDTHxHEIGHT")
        .parse(|text| sides(&text))
        .fallback(Size {
            width: 1600,
            height: 1200,
        });
    // In Cargo's target folder, wherever it is run from.
    let beside = env::current_exe()?.with_extension("png");
    let output = long("output")
        .help("The picture's file [default: beside the program]")
        .argument::<PathBuf>("FILE.png")
        .fallback(beside);
    let all = construct!(Arguments {
        workers,
        size,
        output
    });
    let what = "Paints the Mandelbrot set by processes, then by threads, and times both.";
    let all = all.to_options().descr(what);
    let failure = match all.run_inner(Args::current_args()) {
        Ok(arguments) => return Ok(arguments),
        Err(failure) => failure,
    };
    // Whether somebody asks for it or has typed something else.
    let help = all.run_inner(Args::from(&["--help"]).set_name("mandelbrot"));
    let help = help.map_or_else(ParseFailure::unwrap_stdout, |_| String::new());
    let help = help.trim_end();
    if matches!(failure, ParseFailure::Stderr(_)) {
        bail!("{}\n\n{help}", failure.unwrap_stderr().trim_end());
    }
    println!("{help}");
    process::exit(0)
}

fn number(text: &str, most: usize) -> Result<usize, String> {
    let number = text.parse().ok();
    let number = number.filter(|number| (1..=most).contains(number));
    number.ok_or_else(|| format!("it is a whole number from 1 to {most}"))
}

/// A picture of the longest sides takes 200 MB.
fn sides(text: &str) -> Result<Size, String> {
    let sides = text.split_once('x');
    let size = sides.and_then(|(width, height)| {
        Some(Size {
            width: number(width, 8192).ok()?,
            height: number(height, 8192).ok()?,
        })
    });
    size.ok_or_else(|| "it is WIDTHxHEIGHT, each from 1 to 8192".to_owned())
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
