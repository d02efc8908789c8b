// STUCK: gets three dishes from a queue, also if the cook is dead.

/// Has three dishes cooked by a child, and calls back for each of them, here.
fn serve(mut callback: impl FnMut(u32)) -> Result<()> {
    let queue = Queue::new()?;
    let mut child = Process::spawn("cook", || {
        (1..=3).try_for_each(|dish| queue.put(&cook(dish)))
    })?;
    for _ in 0..3 {
        callback(queue.get()?);
    }
    ensure!(child.join()?.success(), "the cook failed");
    Ok(())
}
