//! Three stages with two workers each, and a small queue between each two.
//!
//! The end goes through the stages like the items do. Each queue is closed by the parent, when it
//! has joined both workers that put into it: one of them may still be busy when the other has
//! ended. And a worker's error is not lost: `?` makes it the worker's exit status, `all_well` the
//! program's.

use anyhow::{Result, ensure};
use common::{Process, Queue};

/// Stage 1: hands on each number once.
fn read(numbers: u64, raw: &Queue<String>, half: u64) -> Result<()> {
    for number in (half..numbers).step_by(2) {
        raw.put(&number.to_string())?;
    }
    if half == 1 && std::env::args().any(|it| it == "bad") {
        raw.put(&"seven".to_owned())?;
    }
    Ok(())
}

/// Stage 3: adds up.
fn write(results: &Queue<u64>, sums: &Queue<u64>) -> Result<()> {
    let mut sum = 0;
    for result in results.iter() {
        if sum == 0 {
            println!("{}: the first result is there", Process::current_name());
        }
        sum += result?;
    }
    sums.put(&sum)?;
    Ok(())
}

fn all_well(workers: &mut [Process]) -> Result<()> {
    for worker in workers {
        ensure!(worker.join()?.success(), "{} failed", worker.name());
    }
    Ok(())
}

// Your part begins here.

/// Stage 2: squares each number. What is no number is an error.
fn change(raw: &Queue<String>, results: &Queue<u64>) -> Result<()> {
    for line in raw.iter() {
        let number: u64 = line?.parse()?;
        results.put(&number.pow(2))?;
    }
    Ok(())
}

/// Ends one stage after the other.
fn finish(stages: [&mut [Process; 2]; 3], raw: &Queue<String>, results: &Queue<u64>) -> Result<()> {
    let [readers, changers, writers] = stages;
    all_well(readers)?;
    raw.close();
    all_well(changers)?;
    results.close();
    all_well(writers)
}

// Your part ends here.

/// Two workers of one stage.
fn two(
    stage: &str,
    work: impl Fn(u64) -> Result<()> + Sync,
) -> Result<[Process; 2], common::SpawnError> {
    let spawn = |number| Process::spawn(format!("{stage} {number}"), || work(number));
    Ok([spawn(1)?, spawn(2)?])
}

fn main() -> Result<()> {
    common::end_on_broken_pipe();
    let numbers = std::env::args().nth(1).map_or(Ok(1000), |it| it.parse())?;
    let raw = Queue::with_capacity(500)?;
    let results = Queue::with_capacity(500)?;
    let sums = Queue::new()?;
    let mut readers = two("read", |number| read(numbers, &raw, number - 1))?;
    let mut changers = two("change", |_| change(&raw, &results))?;
    let mut writers = two("write", |_| write(&results, &sums))?;
    finish([&mut readers, &mut changers, &mut writers], &raw, &results)?;
    sums.close();
    let sum = sums.iter().sum::<Result<u64, _>>()?;
    println!("The sum of the squares: {sum}");
    Ok(())
}
