//! A pool decodes a secret message, and spends its time on sending letters.

use anyhow::Result;
use common::Pool;

/// Moves a letter by half the alphabet: once to encode it, once more to decode it.
fn turn(letter: u8) -> u8 {
    match letter {
        b'a'..=b'm' => letter + 13,
        b'n'..=b'z' => letter - 13,
        other => other,
    }
}

// Your part begins here.

/// Decodes all letters.
fn decode_all(secret: &[u8]) -> Result<Vec<u8>> {
    let pool = Pool::new(2, |letter: u8| anyhow::Ok(turn(letter)))?;
    let mut plain = Vec::new();
    for letter in secret {
        plain.push(pool.apply(letter)?);
    }
    pool.join()?;
    Ok(plain)
}

// Your part ends here.

fn main() -> Result<()> {
    common::end_on_broken_pipe();
    let pages = std::env::args().nth(1).map_or(Ok(200), |it| it.parse())?;
    let text: String = (1..=pages)
        .map(|page| format!("this is page {page:>8}\n"))
        .collect();
    let secret: Vec<u8> = text.bytes().map(turn).collect();
    let plain = decode_all(&secret)?;
    let pairs = text.bytes().zip(&plain);
    let right = pairs.filter(|(it, letter)| it == *letter).count();
    println!("Decoded: {} letters, {right} in their places.", plain.len());
    Ok(())
}
