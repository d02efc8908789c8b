// WRONG: asks everybody three times, also who has answered.

/// Asks all gauges. Who does not answer has `None`.
fn ask_all(tries: &Array<u32>) -> Result<Vec<Option<usize>>> {
    let pool = Pool::new(2, |gauge| ask(gauge, tries))?;
    let mut rain = vec![None; GAUGES];
    for _ in 0..3 {
        let asked: Vec<_> = (0..GAUGES).map(|gauge| pool.apply_async(&gauge)).collect();
        for (gauge, answer) in asked.into_iter().enumerate() {
            rain[gauge] = answer.get().ok();
        }
    }
    pool.join()?;
    Ok(rain)
}
