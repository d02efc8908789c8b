//! WRONG
//! [[run]]
//! expect = """
//! first
//! second
//! """

fn main() {
    println!("second\nfirst");
}
