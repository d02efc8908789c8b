// BUSY: asks again and again, as fast as it can.

/// Serves what is on the counter, and says how much it was.
fn waiter(counter: &Queue<u32>) -> Result<()> {
    let mut served = 0;
    loop {
        match counter.try_get() {
            Ok(_) => served += 1,
            Err(common::GetError::Closed) => break,
            Err(_) => {}
        }
    }
    println!("The waiter served {served} dishes.");
    Ok(())
}

/// Waits until all have gone home.
fn evening(cooks: &mut [Process], waiter: &mut Process, counter: &Queue<u32>) -> Result<()> {
    for cook in cooks {
        ensure!(cook.join()?.success(), "{} failed", cook.name());
    }
    counter.close();
    ensure!(waiter.join()?.success(), "the waiter failed");
    Ok(())
}
