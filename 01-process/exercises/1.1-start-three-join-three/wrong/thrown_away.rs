// WRONG: `let _ =` silences the compiler, and drops at once, which kills.

fn bake_all() -> Result<()> {
    let _ = Process::spawn("bread", || bake("bread is", 60))?;
    let _ = Process::spawn("rolls", || bake("rolls are", 20))?;
    let _ = Process::spawn("cake", || bake("cake is", 40))?;
    Ok(())
}
