// WRONG: joins, and does not look at how they ended.

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
    for reader in readers {
        reader.join()?;
    }
    raw.close();
    for changer in changers {
        changer.join()?;
    }
    results.close();
    for writer in writers {
        writer.join()?;
    }
    Ok(())
}
