//! `&` lends a value to be looked at, `&mut` to be changed.
//!
//! Any number may look at a time, or one may change: never both. The compiler holds it, so nobody can
//! change a list while another one walks through it. It cannot see other processes; there, a lock says
//! who may.
//!
//! Output: exact.

fn total(prices: &[u32]) -> u32 {
    prices.iter().sum()
}

fn reduce(prices: &mut [u32]) {
    for price in prices {
        *price -= 1; // `*` is the number that `price` leads to
    }
}

fn main() {
    let mut prices = vec![3, 4, 5]; // without `mut`, nobody may change it
    println!("total: {}", total(&prices));
    reduce(&mut prices);
    println!("reduced: {prices:?}");

    let mut copy = prices.clone(); // an assignment makes no copy: it hands over
    copy.push(6);
    println!("{} and {}", prices.len(), copy.len());
}
