// WRONG: makes a new pool for each round, since the old one was joined.

/// Asks all gauges. Who does not answer has `None`.
fn ask_all(tries: &Array<u32>) -> Result<Vec<Option<usize>>> {
    let mut rain = vec![None; GAUGES];
    for _ in 0..3 {
        let pool = Pool::new(2, |gauge| ask(gauge, tries))?;
        let open = (0..GAUGES).filter(|&gauge| rain[gauge].is_none());
        let asked: Vec<_> = open
            .map(|gauge| (gauge, pool.apply_async(&gauge)))
            .collect();
        for (gauge, answer) in asked {
            rain[gauge] = answer.get().ok();
        }
        pool.join()?;
    }
    Ok(rain)
}
