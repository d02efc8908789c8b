//! A post office hands its letters to two carriers, and asks for each how it went.
//!
//! `apply_async` cannot say what will become of a task, so what it returns is kept, by letter.
//! `get` gives the error of any kind: the task has failed, panicked, or lost its worker. All
//! letters are handed in before the first `get`, or the second carrier would have nothing to do. An
//! error that was asked for is no error of `join`'s any more; that the program fails is our
//! business then.

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
    let handed: Vec<_> = (1..=letters)
        .map(|letter| pool.apply_async(&letter))
        .collect();
    let mut lost = 0;
    for (letter, outcome) in (1..).zip(handed) {
        if let Err(error) = outcome.get() {
            report(letter, &error);
            lost += 1;
        }
    }
    pool.join()?;
    ensure!(lost == 0, "{lost} of {letters} letters have come back");
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
