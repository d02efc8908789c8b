//! A call that can fail returns a `Result`: `Ok` with the value, or `Err` with the error.
//!
//! `?` takes the value out, or returns the error from the function that it stands in, as an exception
//! would. But it can be seen in the line, and in the function's type; and who does neither use the
//! result nor throw it away is warned. `main` may return a `Result`, too: an error ends the program
//! with exit code 1.
//!
//! Output: exact.

use std::num::ParseIntError;

fn half(text: &str) -> Result<u32, ParseIntError> {
    let number: u32 = text.parse()?; // an error leaves here
    Ok(number / 2)
}

fn main() {
    for text in ["84", "many"] {
        match half(text) {
            Ok(number) => println!("half of {text} is {number}"),
            Err(_) => println!("{text} is no number"),
        }
    }
}
