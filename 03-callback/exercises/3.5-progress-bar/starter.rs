//! Two workers count what they have done, and their parent draws it on a screen.

use std::{thread::sleep, time::Duration};

use anyhow::{Result, ensure};
use common::{Process, Queue, Value};

const PIECES: u32 = 25;

fn work(done: &Value<u32>) -> Result<()> {
    for _ in 0..PIECES {
        sleep(Duration::from_millis(1)); // the work
        *done.lock()? += 1;
    }
    Ok(())
}

struct Bar<'a> {
    percent: u32,
    screen: &'a Queue<u32>,
}

impl Bar<'_> {
    fn draw(&mut self, done: u32) -> Result<()> {
        let percent = 100 * done / (2 * PIECES);
        if percent > self.percent {
            self.screen.put(&percent)?;
            self.percent = percent;
        }
        Ok(())
    }
}

fn show(screen: &Queue<u32>) -> Result<()> {
    for percent in screen.iter() {
        println!("progress: {} %", percent?);
    }
    Ok(())
}

// Your part begins here.

/// Draws how far the work is, until it is done.
fn watch(done: &Value<u32>, workers: &mut [Process; 2], bar: &mut Bar<'_>) -> Result<()> {
    while bar.percent < 100 {
        bar.draw(*done.lock()?)?;
    }
    for worker in workers {
        ensure!(worker.join()?.success(), "{} failed", worker.name());
    }
    Ok(())
}

// Your part ends here.

fn main() -> Result<()> {
    common::end_on_broken_pipe();
    let (done, screen) = (Value::new(0)?, Queue::new()?);
    let mut shows = Process::spawn("screen", || show(&screen))?;
    let mut workers = [
        Process::spawn("worker 1", || work(&done))?,
        Process::spawn("worker 2", || work(&done))?,
    ];
    let screen = &screen;
    let mut bar = Bar { percent: 0, screen };
    let watched = watch(&done, &mut workers, &mut bar);
    screen.close();
    ensure!(shows.join()?.success(), "the screen failed");
    watched?;
    match bar.percent {
        100 => println!("The bar is full."),
        percent => println!("The bar has stopped at {percent} %."),
    }
    Ok(())
}
