// WRONG: the child sends the numbers, and the parent does the work.

/// Has three dishes cooked by a child, and calls back for each of them, here.
fn serve(mut callback: impl FnMut(u32)) -> Result<()> {
    let (kitchen, hall) = pipe::<u32, ()>()?;
    let mut child = Process::spawn("cook", move || {
        (1..=3).try_for_each(|dish| kitchen.send(&dish))
    })?;
    while let Ok(dish) = hall.recv() {
        callback(cook(dish));
    }
    ensure!(child.join()?.success(), "the cook failed");
    Ok(())
}
