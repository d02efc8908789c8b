// MISSING: all lines in the right order, as there is one process that does everything.

fn bake_all() -> Result<()> {
    bake("bread is");
    bake("rolls are");
    bake("cake is");
    Ok(())
}

