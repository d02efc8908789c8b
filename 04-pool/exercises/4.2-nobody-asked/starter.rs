//! A post office hands its letters to two carriers, and does not want to know how it went.

#[allow(unused_imports)]
use anyhow::{Result, bail, ensure};
use common::{Pool, TaskError};

/// Carries one letter to its house.
fn carry(letter: u32) -> Result<()> {
    match letter {
        3 => bail!("no such street"),
        5 => panic!("there is a dog"),
        8 => std::process::abort(),
        _ => Ok(()),
    }
}

/// Says that a letter has not arrived, and why.
#[allow(dead_code)]
fn report(letter: u32, error: &TaskError) {
    println!("Letter {letter} has come back.");
    eprintln!("letter {letter}: {error}");
}

// Your part begins here.

/// Hands all letters to two carriers. An error if one of them has not arrived.
fn post(letters: u32) -> Result<()> {
    let pool = Pool::new(2, carry)?;
    for letter in 1..=letters {
        pool.apply_async(&letter).error_callback(|_| ());
    }
    pool.join()?;
    Ok(())
}

// Your part ends here.

fn main() -> Result<()> {
    common::end_on_broken_pipe();
    let letters = std::env::args().nth(1).map_or(Ok(10), |it| it.parse())?;
    post(letters)?;
    println!("All {letters} letters have arrived.");
    Ok(())
}
