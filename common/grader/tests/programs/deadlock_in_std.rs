//! STUCK
//! [[run]]

use std::sync::Mutex;

fn main() {
    let mutex = Mutex::new(0);
    let _first = mutex.lock();
    let _second = mutex.lock();
}
