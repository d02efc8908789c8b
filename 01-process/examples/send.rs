//! `Send` is the mark of what may go to another thread or process.
//!
//! The compiler gives it to a type whose parts all have it. Numbers, texts and lists have it; a guard
//! has not, since a lock must be given back by the thread that took it. What `Process::spawn` and
//! `thread::spawn` are given must have it: so the mistake is found before the program runs.
//!
//! Output: exact.

use std::thread;

fn main() {
    let text = String::from("one two three");
    let words = thread::spawn(move || text.split(' ').count()); // a text may go there
    match words.join() {
        Ok(count) => println!("{count} words, counted elsewhere"),
        Err(_) => println!("the thread panicked"),
    }
}
