// WRONG: any error of the pipe is taken for the end, and nobody looks at the status.

/// Has three dishes cooked by a child, and calls back for each of them, here.
fn serve(mut callback: impl FnMut(u32)) -> Result<()> {
    let (kitchen, hall) = pipe::<u32, ()>()?;
    let _child = Process::spawn("cook", move || {
        (1..=3).try_for_each(|dish| kitchen.send(&cook(dish)))
    })?;
    while let Ok(dish) = hall.recv() {
        callback(dish);
    }
    Ok(())
}
