// WRONG: does not wait any more between the letters, and sends as many messages as before.

/// Decodes all letters.
fn decode_all(secret: &[u8]) -> Result<Vec<u8>> {
    let pool = Pool::new(2, |letter: u8| anyhow::Ok(turn(letter)))?;
    let handed: Vec<_> = secret
        .iter()
        .map(|letter| pool.apply_async(letter))
        .collect();
    let mut plain = Vec::new();
    for letter in handed {
        plain.push(letter.get()?);
    }
    pool.join()?;
    Ok(plain)
}
