// WRONG: tries again in the worker, which the first try of gauge 5 has killed.

/// Asks all gauges. Who does not answer has `None`.
fn ask_all(tries: &Array<u32>) -> Result<Vec<Option<usize>>> {
    let pool = Pool::new(2, |gauge| {
        ask(gauge, tries)
            .or_else(|_| ask(gauge, tries))
            .or_else(|_| ask(gauge, tries))
    })?;
    let asked: Vec<_> = (0..GAUGES).map(|gauge| pool.apply_async(&gauge)).collect();
    let rain = asked.into_iter().map(|answer| answer.get().ok()).collect();
    pool.join()?;
    Ok(rain)
}
