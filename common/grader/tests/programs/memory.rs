//! CRASH
//! evidence: 2 GiB
//! [[run]]

/// Three GiB, should nobody stop it.
fn main() {
    let mut all: Vec<Vec<u8>> = Vec::new();
    for _ in 0..3 << 10 {
        all.push(vec![1; 1 << 20]);
    }
    std::thread::sleep(std::time::Duration::from_secs(60));
}
