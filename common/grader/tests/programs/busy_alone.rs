//! BUSY
//! [[run]]

fn main() {
    #[allow(clippy::empty_loop)]
    loop {}
}
