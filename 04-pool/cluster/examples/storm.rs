//! A thousand tasks, four workers, and every 200 ms one of the workers is killed.
//!
//! Output: pattern. How often a task was given to a worker is masked.

use std::cell::RefCell;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::Parser;
use cluster::{Cluster, Options};
use nix::sys::signal::Signal;

const WORKERS: usize = 4;

#[derive(Parser)]
struct Arguments {
    /// How many tasks
    #[arg(long, default_value_t = 1000)]
    tasks: u32,
    /// How many milliseconds each takes
    #[arg(long, default_value_t = 10)]
    takes: u64,
    /// After how many milliseconds another worker is killed; 0 is never
    #[arg(long, default_value_t = 200)]
    every: u64,
    #[command(flatten)]
    options: Options,
}

fn square(number: u32, takes: u64) -> Result<u64> {
    thread::sleep(Duration::from_millis(takes));
    Ok(u64::from(number).pow(2))
}

fn main() -> Result<()> {
    common::end_on_broken_pipe();
    let Arguments {
        tasks,
        takes,
        every,
        options,
    } = Arguments::parse();
    let cluster = Cluster::join(options)?;
    let outcomes = RefCell::new(vec![0; tasks as usize]);
    let wrong = RefCell::new(Vec::new());

    let mut pool = cluster.pool(WORKERS, |number| square(number, takes))?;
    for number in 0..tasks {
        let (outcomes, wrong) = (&outcomes, &wrong);
        pool.apply_async(&number)?
            .callback(move |square: u64| {
                outcomes.borrow_mut()[number as usize] += 1;
                if square != u64::from(number).pow(2) {
                    wrong
                        .borrow_mut()
                        .push(format!("{number} squared is not {square}"));
                }
            })
            .error_callback(|error| wrong.borrow_mut().push(error.to_string()));
    }

    if pool.from_before() > 0 {
        println!("{} had an outcome before", pool.from_before());
    }

    let (mut killed, mut last) = (0, Instant::now());
    let mut said = 0;
    while pool.under_way() > 0 {
        pool.pump()?;
        let quarter = 4 - (4 * pool.under_way()).div_ceil(tasks as usize);
        while said < quarter {
            said += 1;
            println!("{said} of 4 quarters");
        }
        if every > 0 && last.elapsed() >= Duration::from_millis(every) {
            last = Instant::now();
            pool.workers()[killed % WORKERS].signal(Signal::SIGKILL)?;
            killed += 1;
        }
    }

    let each_once = outcomes.borrow().iter().all(|times| *times == 1);
    println!(
        "{tasks} outcomes, {}",
        if each_once {
            "each once"
        } else {
            "NOT each once"
        }
    );
    println!("runs: {}", pool.deliveries()?);
    println!("killed workers: {killed}");
    wrong.borrow().iter().for_each(|line| println!("{line}"));
    drop(pool);
    cluster.end()
}
