// WRONG: a sleep in place of a join, long enough on the machine where it was tried.

fn bake_all() -> Result<()> {
    let _bread = Process::spawn("bread", || bake("bread is"))?;
    let _rolls = Process::spawn("rolls", || bake("rolls are"))?;
    let _cake = Process::spawn("cake", || bake("cake is"))?;
    std::thread::sleep(std::time::Duration::from_millis(200));
    Ok(())
}

