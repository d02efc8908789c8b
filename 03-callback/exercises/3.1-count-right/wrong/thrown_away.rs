// WRONG: locks around all three steps, but `_` keeps no guard, and so no lock.

/// Counts its visitors, one by one.
fn gate(total: &Value<u32>, visitors: u32) -> Result<()> {
    for _ in 0..visitors {
        let _ = total.lock()?;
        let seen = *total.lock()?;
        *total.lock()? = seen + 1;
    }
    Ok(())
}

/// Opens the four gates, and waits until all visitors are in.
fn open(total: &Value<u32>, visitors: u32) -> Result<()> {
    let mut gates = Vec::new();
    for number in 1..=4 {
        let gate = || gate(total, visitors);
        gates.push(Process::spawn(format!("gate {number}"), gate)?);
    }
    for gate in &mut gates {
        ensure!(gate.join()?.success(), "{} failed", gate.name());
    }
    Ok(())
}
