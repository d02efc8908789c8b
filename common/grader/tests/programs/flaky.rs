//! FLAKY 2 of 5
//! evidence: Run again with MP_CHAOS=3, it came 10 times of 10.
//! [[run]]
//! seeds = 4
//! expect = "sum 3"

fn main() {
    let seed: u32 = std::env::var("MP_CHAOS").map_or(0, |seed| seed.parse().unwrap());
    println!("sum {}", if seed < 3 { 3 } else { 4 });
}
