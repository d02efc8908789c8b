// WRONG: looks twice, with a sleep in between, and takes that for proof.

/// Serves what is on the counter, and says how much it was.
fn waiter(counter: &Queue<u32>) -> Result<()> {
    let mut served = 0;
    loop {
        if counter.is_empty() {
            std::thread::sleep(std::time::Duration::from_millis(50));
            if counter.is_empty() {
                break;
            }
        }
        counter.get()?;
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
