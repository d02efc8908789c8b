//! A real job: the Mandelbrot set, painted by workers on any hosts.
//!
//! `bars.rs` shows which worker has done how much. The formula is that of the pool's example.
//!
//! Output: pattern. Times are masked, and who did how many rows.

#[path = "../../../examples/mandelbrot/picture.rs"]
mod picture;

mod bars;

use std::cell::RefCell;
use std::env;
use std::fs::File;
use std::path::PathBuf;
use std::thread::available_parallelism;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use cluster::{Cluster, Options};

use bars::Bars;
use picture::{Colour, Size};

#[derive(Parser)]
struct Arguments {
    /// Workers that are started here [default: one a core]
    #[arg(long)]
    workers: Option<usize>,
    /// The picture's width
    #[arg(long, default_value_t = 1600, value_parser = clap::value_parser!(u32).range(1..=8192))]
    width: u32,
    /// The picture's height
    #[arg(long, default_value_t = 1200, value_parser = clap::value_parser!(u32).range(1..=8192))]
    height: u32,
    /// The picture's file [default: beside the program]
    #[arg(long, value_name = "FILE.png")]
    output: Option<PathBuf>,
    #[command(flatten)]
    options: Options,
}

fn main() -> Result<()> {
    common::end_on_broken_pipe();
    let arguments = Arguments::parse();
    let size = Size {
        width: arguments.width as usize,
        height: arguments.height as usize,
    };
    let workers = arguments.workers;
    let workers = workers.map_or_else(|| available_parallelism().map(usize::from), Ok)?;

    let cluster = Cluster::join(arguments.options)?;
    let rows = RefCell::new(vec![Vec::<Colour>::new(); size.height]);
    let errors = RefCell::new(Vec::new());
    // With the size in it, since workers elsewhere may be started with another one.
    let paint = |(width, height, y): (usize, usize, usize)| Ok(Size { width, height }.row(y));
    let mut pool = cluster.pool(workers, paint)?;

    println!("{} by {} pixels", size.width, size.height);
    let (start, mut bars) = (Instant::now(), Bars::new(size.height));
    for y in 0..size.height {
        let (rows, errors) = (&rows, &errors);
        pool.apply_async(&(size.width, size.height, y))?
            .callback(move |row| rows.borrow_mut()[y] = row)
            .error_callback(|error| errors.borrow_mut().push(error));
        bars.show(pool.by_worker())?;
    }
    while pool.under_way() > 0 {
        pool.pump()?;
        bars.show(pool.by_worker())?;
    }
    bars.finish();
    println!("painted in {:.2?}", start.elapsed());
    drop(pool);
    ensure!(
        errors.borrow().is_empty(),
        "rows are missing: {:?}",
        errors.borrow()
    );

    // In Cargo's target folder, wherever it is run from.
    let beside = env::current_exe()?.with_extension("png");
    let output = arguments.output.unwrap_or(beside);
    let file = File::create(&output).with_context(|| format!("cannot write {output:?}"))?;
    size.write(file, &rows.borrow().concat())?;
    println!("It is in {}", output.display());
    cluster.end()
}
