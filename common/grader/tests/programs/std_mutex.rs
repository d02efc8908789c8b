//! PASS
//! [[run]]
//! expect = "sum 2"

use std::sync::Mutex;
use std::thread;
use std::time::Duration;

fn main() {
    let mutex = Mutex::new(0);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut sum = mutex.lock().unwrap();
                thread::sleep(Duration::from_millis(1500));
                *sum += 1;
            });
        }
    });
    println!("sum {}", mutex.lock().unwrap());
}
