// MISSING: decodes it all in the parent, since that is quicker.

/// Decodes all letters.
fn decode_all(secret: &[u8]) -> Result<Vec<u8>> {
    let plain = secret.iter().map(|&letter| turn(letter)).collect();
    let pool = Pool::new(2, |letter: u8| anyhow::Ok(turn(letter)))?;
    pool.join()?;
    Ok(plain)
}
