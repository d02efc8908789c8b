//! MISSING
//! evidence: There is no second process.
//! [[uses]]
//! what = "process"
//! at_least = 1
//! missing = "There is no second process."
//! [[run]]
//! expect = "sum 3"

fn main() {
    println!("sum 3");
}
