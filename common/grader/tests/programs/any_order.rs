//! PASS
//! [[run]]
//! any_order = true
//! expect = """
//! first
//! second
//! """

fn main() {
    println!("second\nfirst");
}
