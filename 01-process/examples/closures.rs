//! A closure is a function that brings variables of its surroundings along.
//!
//! It borrows them, so they stay where they are; with `move` it takes them, and they are its own. What
//! runs in another process is a closure: what it borrows there is a copy, made by the fork.
//!
//! Output: exact.

fn main() {
    let greeting = String::from("hello");
    let greet = |name| format!("{greeting}, {name}"); // borrows `greeting`
    println!("{}, and {greeting} again", greet("Ada"));

    let mut guests = 0;
    let mut arrive = |more| guests += more; // borrows `guests`, to change it
    arrive(2);
    arrive(3);
    println!("{guests} guests");

    let greet = move |name| format!("{greeting}, {name}"); // takes `greeting`
    println!("{}", greet("Bob"));
    // From here on there is no `greeting` any more: to print it would not compile.
}
