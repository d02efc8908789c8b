//! LEAK
//! evidence: notes.txt
//! [[run]]

fn main() -> anyhow::Result<()> {
    std::fs::write("notes.txt", "left behind")?;
    Ok(())
}
