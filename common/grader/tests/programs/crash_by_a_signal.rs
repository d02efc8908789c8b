//! CRASH
//! [[run]]

fn main() {
    std::process::abort();
}
