//! A weather service asks its rain gauges by radio, and gives up too early.

use anyhow::{Result, bail};
use common::{Array, Pool};

const GAUGES: usize = 8;

/// Asks one gauge once for the rain in mm, and counts it.
fn ask(gauge: usize, tries: &Array<u32>) -> Result<usize> {
    tries.lock()?[gauge] += 1;
    let tried = tries.lock()?[gauge];
    match (gauge, tried) {
        (2, 1) | (4, 1 | 2) => bail!("only noise"),
        (5, 1) => std::process::abort(), // in the radio's driver
        (6, _) => bail!("nothing"),
        _ => Ok(10 + gauge),
    }
}

// Your part begins here.

/// Asks all gauges. Who does not answer has `None`.
fn ask_all(tries: &Array<u32>) -> Result<Vec<Option<usize>>> {
    let pool = Pool::new(2, |gauge| ask(gauge, tries))?;
    let asked: Vec<_> = (0..GAUGES).map(|gauge| pool.apply_async(&gauge)).collect();
    let rain = asked.into_iter().map(|answer| answer.get().ok()).collect();
    pool.join()?;
    Ok(rain)
}

// Your part ends here.

fn main() -> Result<()> {
    common::end_on_broken_pipe();
    let tries = Array::new(&[0; GAUGES])?;
    let rain = ask_all(&tries)?;
    for (gauge, (rain, tries)) in rain.iter().zip(tries.lock()?.iter()).enumerate() {
        let rain = rain.map_or("no answer".to_owned(), |rain| format!("{rain} mm"));
        println!("Gauge {gauge}: {rain}. Tries: {tries}");
    }
    Ok(())
}
