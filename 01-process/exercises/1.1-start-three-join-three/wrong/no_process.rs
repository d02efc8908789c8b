// MISSING: all lines in the right order, as there is one process that does everything.

fn bake_all() -> Result<()> {
    bake("bread is", 60);
    bake("rolls are", 20);
    bake("cake is", 40);
    Ok(())
}
