// WRONG: who has not cooked for 200 ms has gone home.

/// Serves what is on the counter, and says how much it was.
fn waiter(counter: &Queue<u32>) -> Result<()> {
    let mut served = 0;
    while counter
        .get_timeout(std::time::Duration::from_millis(200))
        .is_ok()
    {
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
