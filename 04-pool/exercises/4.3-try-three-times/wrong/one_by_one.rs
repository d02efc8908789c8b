// MISSING: asks each gauge up to three times before it turns to the next.

/// Asks all gauges. Who does not answer has `None`.
fn ask_all(tries: &Array<u32>) -> Result<Vec<Option<usize>>> {
    let pool = Pool::new(2, |gauge| ask(gauge, tries))?;
    let mut rain = vec![None; GAUGES];
    for gauge in 0..GAUGES {
        for _ in 0..3 {
            if rain[gauge].is_none() {
                rain[gauge] = pool.apply(&gauge).ok();
            }
        }
    }
    pool.join()?;
    Ok(rain)
}
