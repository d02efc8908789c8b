// WRONG: closes both queues when the readers are done.

/// Stage 2: squares each number. What is no number is an error.
fn change(raw: &Queue<String>, results: &Queue<u64>) -> Result<()> {
    for line in raw.iter() {
        let number: u64 = line?.parse()?;
        results.put(&number.pow(2))?;
    }
    Ok(())
}

/// Ends one stage after the other.
fn finish(stages: [&mut [Process; 2]; 3], raw: &Queue<String>, results: &Queue<u64>) -> Result<()> {
    let [readers, changers, writers] = stages;
    all_well(readers)?;
    raw.close();
    results.close();
    all_well(changers)?;
    all_well(writers)
}
