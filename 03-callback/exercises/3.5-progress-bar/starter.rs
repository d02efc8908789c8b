//! Two workers count what they have done, and their parent draws it.

#[allow(unused_imports)] // you may need some
use std::{thread::sleep, time::Duration};

#[allow(unused_imports)]
use anyhow::{Result, ensure};
use common::{Process, Value};

const PIECES: u32 = 25;

fn work(done: &Value<u32>) -> Result<()> {
    for _ in 0..PIECES {
        *done.lock()? += 1; // the work itself is left out here
    }
    Ok(())
}

#[derive(Default)]
struct Bar(u32);

impl Bar {
    fn draw(&mut self, done: u32) {
        let percent = 100 * done / (2 * PIECES);
        if percent > self.0 {
            println!("progress: {percent} %");
            self.0 = percent;
        }
    }
}

// Your part begins here.

/// Draws how far the work is, until it is done.
fn watch(done: &Value<u32>, workers: &mut [Process; 2], bar: &mut Bar) -> Result<()> {
    while bar.0 < 100 {
        bar.draw(*done.lock()?);
    }
    for worker in workers {
        ensure!(worker.join()?.success(), "{} failed", worker.name());
    }
    Ok(())
}

// Your part ends here.

fn main() -> Result<()> {
    common::end_on_broken_pipe();
    let done = Value::new(0)?;
    let mut workers = [
        Process::spawn("worker 1", || work(&done))?,
        Process::spawn("worker 2", || work(&done))?,
    ];
    let mut bar = Bar::default();
    watch(&done, &mut workers, &mut bar)?;
    match bar.0 {
        100 => println!("The bar is full."),
        percent => println!("The bar has stopped at {percent} %."),
    }
    Ok(())
}
