// STUCK: a loop over all dishes, and nobody says the end.

/// Serves what is on the counter, and says how much it was.
fn waiter(counter: &Queue<u32>) -> Result<()> {
    let mut served = 0;
    for dish in counter.iter() {
        dish?;
        served += 1;
    }
    println!("The waiter served {served} dishes.");
    Ok(())
}

/// Waits until all have gone home.
fn evening(cooks: &mut [Process], waiter: &mut Process, _counter: &Queue<u32>) -> Result<()> {
    for cook in cooks {
        ensure!(cook.join()?.success(), "{} failed", cook.name());
    }
    ensure!(waiter.join()?.success(), "the waiter failed");
    Ok(())
}
