// WRONG: who was started last will be ready last, so it seems enough to join that one.

fn bake_all() -> Result<()> {
    let _bread = Process::spawn("bread", || bake("bread is"))?;
    let _rolls = Process::spawn("rolls", || bake("rolls are"))?;
    let mut cake = Process::spawn("cake", || bake("cake is"))?;
    ensure!(cake.join()?.success(), "no cake");
    Ok(())
}

