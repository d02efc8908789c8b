// WRONG: a first try, and three more.

/// Asks all gauges. Who does not answer has `None`.
fn ask_all(tries: &Array<u32>) -> Result<Vec<Option<usize>>> {
    let pool = Pool::new(2, |gauge| ask(gauge, tries))?;
    let asked: Vec<_> = (0..GAUGES).map(|gauge| pool.apply_async(&gauge)).collect();
    let mut rain: Vec<_> = asked.into_iter().map(|answer| answer.get().ok()).collect();
    for _ in 0..3 {
        for gauge in 0..GAUGES {
            if rain[gauge].is_none() {
                rain[gauge] = pool.apply(&gauge).ok();
            }
        }
    }
    pool.join()?;
    Ok(rain)
}
