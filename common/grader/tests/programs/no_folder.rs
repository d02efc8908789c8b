//! PASS
//! [[run]]

fn main() -> std::io::Result<()> {
    std::fs::remove_dir(std::env::current_dir()?)
}
