// MISSING: counts by itself, and adds that to the total in the end.

/// Counts its visitors, one by one.
fn gate(total: &Value<u32>, visitors: u32) -> Result<()> {
    let mut mine = 0;
    for _ in 0..visitors {
        mine += 1;
    }
    *total.lock()? += mine;
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
