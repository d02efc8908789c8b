// WRONG: leaves out what is no number, so as not to fail.

/// Stage 2: squares each number. What is no number is an error.
fn change(raw: &Queue<String>, results: &Queue<u64>) -> Result<()> {
    for line in raw.iter() {
        if let Ok(number) = line?.parse::<u64>() {
            results.put(&number.pow(2))?;
        }
    }
    Ok(())
}

/// Ends one stage after the other.
fn finish(stages: [&mut [Process; 2]; 3], raw: &Queue<String>, results: &Queue<u64>) -> Result<()> {
    let [readers, changers, writers] = stages;
    all_well(readers)?;
    raw.close();
    all_well(changers)?;
    results.close();
    all_well(writers)
}
