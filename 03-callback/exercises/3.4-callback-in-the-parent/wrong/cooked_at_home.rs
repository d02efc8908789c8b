// WRONG: cooks in the parent as well.

/// Has three dishes cooked by a child, and calls back for each of them, here.
fn serve(mut callback: impl FnMut(u32)) -> Result<()> {
    let mut child = Process::spawn("cook", || {
        for dish in 1..=3 {
            cook(dish);
        }
    })?;
    for dish in 1..=3 {
        callback(cook(dish));
    }
    child.join()?;
    Ok(())
}
