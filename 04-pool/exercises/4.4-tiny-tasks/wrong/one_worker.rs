// MISSING: makes the pool smaller, so that all come in order.

/// Decodes all letters.
fn decode_all(secret: &[u8]) -> Result<Vec<u8>> {
    let pool = Pool::new(1, |letter: u8| anyhow::Ok(turn(letter)))?;
    let plain = pool.map(secret)?;
    pool.join()?;
    Ok(plain)
}
