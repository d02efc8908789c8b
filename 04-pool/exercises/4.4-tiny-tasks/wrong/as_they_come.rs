// WRONG: takes the letters as they come; and each is still a message.

/// Decodes all letters.
fn decode_all(secret: &[u8]) -> Result<Vec<u8>> {
    let pool = Pool::new(2, |letter: u8| anyhow::Ok(turn(letter)))?;
    let mut plain = Vec::new();
    for letter in pool.imap_unordered(secret) {
        plain.push(letter?);
    }
    pool.join()?;
    Ok(plain)
}
