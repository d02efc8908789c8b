//! PASS
//! [[run]]

fn main() -> anyhow::Result<()> {
    std::fs::write("notes.txt", "removed")?;
    std::fs::remove_file("notes.txt")?;
    Ok(())
}
