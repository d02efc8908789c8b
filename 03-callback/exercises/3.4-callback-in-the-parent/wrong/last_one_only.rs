// WRONG: a shared value has room for one dish, and the parent looks when all is over.

/// Has three dishes cooked by a child, and calls back for each of them, here.
fn serve(mut callback: impl FnMut(u32)) -> Result<()> {
    let value = Value::new(0)?;
    let mut child = Process::spawn("cook", || -> Result<()> {
        for dish in 1..=3 {
            *value.lock()? = cook(dish);
        }
        Ok(())
    })?;
    ensure!(child.join()?.success(), "the cook failed");
    callback(*value.lock()?);
    Ok(())
}
