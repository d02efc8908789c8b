//! Three stages, of which the middle one may crash.

#[allow(unused_imports)] // you may need some
use anyhow::{Context, Result, ensure};
#[allow(unused_imports)]
use common::{Process, Queue};

fn read(raw: &Queue<u64>) -> Result<()> {
    (0..1000).try_for_each(|number| Ok(raw.put(&number)?))
}

fn change(raw: &Queue<u64>, results: &Queue<u64>, aborts: bool) -> Result<()> {
    for number in raw.iter() {
        let number = number?;
        if aborts && number == 500 {
            std::process::abort(); // a crash
        }
        results.put(&number.pow(2))?;
    }
    Ok(())
}

fn write(results: &Queue<u64>) -> Result<()> {
    let sum = results.iter().sum::<Result<u64, _>>()?;
    println!("The sum of the squares: {sum}");
    Ok(())
}

// Your part begins here.

/// Starts the three stages, and waits until all is added up, or one of them has failed.
fn pipeline(aborts: bool) -> Result<()> {
    let raw = Queue::with_capacity(500)?;
    let results = Queue::with_capacity(500)?;
    let mut read = Process::spawn("read", || read(&raw))?;
    let mut change = Process::spawn("change", || change(&raw, &results, aborts))?;
    let mut write = Process::spawn("write", || write(&results))?;
    ensure!(read.join()?.success(), "read failed");
    raw.close();
    ensure!(change.join()?.success(), "change failed");
    results.close();
    ensure!(write.join()?.success(), "write failed");
    Ok(())
}

// Your part ends here.

fn main() -> Result<()> {
    common::end_on_broken_pipe();
    let aborts = std::env::args().any(|it| it == "abort");
    pipeline(aborts)
}
