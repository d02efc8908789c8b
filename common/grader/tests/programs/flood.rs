//! CRASH
//! evidence: more than 16 MiB
//! [[run]]

/// A hundred MiB, should nobody stop it.
fn main() {
    for _ in 0..4 << 20 {
        println!("output without end, or nearly");
    }
    std::thread::sleep(std::time::Duration::from_secs(60));
}
