// WRONG: takes map, which fails as a whole, and runs it again as a whole.

/// Asks all gauges. Who does not answer has `None`.
fn ask_all(tries: &Array<u32>) -> Result<Vec<Option<usize>>> {
    let pool = Pool::new(2, |gauge| ask(gauge, tries))?;
    let gauges: Vec<usize> = (0..GAUGES).collect();
    for _ in 0..3 {
        if let Ok(rain) = pool.map(&gauges) {
            return Ok(rain.into_iter().map(Some).collect());
        }
    }
    pool.join()?;
    Ok(vec![None; GAUGES])
}
