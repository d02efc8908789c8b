// WRONG: who was started last will be ready last, so it seems enough to join that one.

fn bake_all() -> Result<()> {
    let _bread = Process::spawn("bread", || bake("bread is", 60))?;
    let _rolls = Process::spawn("rolls", || bake("rolls are", 20))?;
    let mut cake = Process::spawn("cake", || bake("cake is", 40))?;
    ensure!(cake.join()?.success(), "no cake");
    Ok(())
}
