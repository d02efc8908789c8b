// MISSING: start and join look like one step, so both stand in the loop, and each waits.

fn bake_all() -> Result<()> {
    for (name, what, milliseconds) in [
        ("bread", "bread is", 60),
        ("rolls", "rolls are", 20),
        ("cake", "cake is", 40),
    ] {
        let mut baker = Process::spawn(name, || bake(what, milliseconds))?;
        ensure!(baker.join()?.success(), "no {name}");
    }
    Ok(())
}
