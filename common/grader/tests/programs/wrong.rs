//! WRONG
//! evidence: expected: sum 3
//! evidence: seen:     sum 4
//! [[run]]
//! expect = "sum 3"

fn main() {
    println!("sum 4");
}
