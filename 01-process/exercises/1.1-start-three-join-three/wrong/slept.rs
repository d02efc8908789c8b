// WRONG: a sleep in place of a join, long enough on the machine where it was tried.

fn bake_all() -> Result<()> {
    let _bread = Process::spawn("bread", || bake("bread is", 60))?;
    let _rolls = Process::spawn("rolls", || bake("rolls are", 20))?;
    let _cake = Process::spawn("cake", || bake("cake is", 40))?;
    sleep(Duration::from_millis(200));
    Ok(())
}
