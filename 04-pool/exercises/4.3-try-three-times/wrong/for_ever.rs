// SLOW: goes on until all have answered, and one never will.

/// Asks all gauges. Who does not answer has `None`.
fn ask_all(tries: &Array<u32>) -> Result<Vec<Option<usize>>> {
    let pool = Pool::new(2, |gauge| ask(gauge, tries))?;
    let mut rain = vec![None; GAUGES];
    while rain.contains(&None) {
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
