//! WRONG
//! evidence: exit status: 3
//! [[run]]
//! expect = "done"

fn main() {
    println!("done");
    std::process::exit(3);
}
