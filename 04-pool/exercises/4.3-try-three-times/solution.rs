//! A weather service asks its rain gauges by radio, each up to three times.
//!
//! The parent tries again, not the worker: a worker that has died can do nothing any more, and the
//! pool does not know whether a task may run twice. The program does: to ask is no harm. It goes in
//! rounds, so that both workers are busy in each, and a gauge that has answered is left alone.

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
    let mut rain = vec![None; GAUGES];
    for _ in 0..3 {
        let open = (0..GAUGES).filter(|&gauge| rain[gauge].is_none());
        let asked: Vec<_> = open
            .map(|gauge| (gauge, pool.apply_async(&gauge)))
            .collect();
        for (gauge, answer) in asked {
            rain[gauge] = answer.get().ok();
        }
    }
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
