// WRONG: the list is sent back at the end, and the callback still runs in the child.

/// Has three dishes cooked by a child, and calls back for each of them, here.
fn serve(mut callback: impl FnMut(u32) + Send) -> Result<()> {
    let queue = Queue::new()?;
    let mut child = Process::spawn("cook", || {
        (1..=3).try_for_each(|dish| {
            callback(cook(dish));
            queue.put(&cook(dish))
        })
    })?;
    ensure!(child.join()?.success(), "the cook failed");
    Ok(())
}
