// MISSING: one message for all, so one worker does everything.

/// Decodes all letters.
fn decode_all(secret: &[u8]) -> Result<Vec<u8>> {
    let decode = |letters: Vec<u8>| anyhow::Ok(letters.into_iter().map(turn).collect::<Vec<u8>>());
    let pool = Pool::new(2, decode)?;
    let plain = pool.apply(&secret.to_vec())?;
    pool.join()?;
    Ok(plain)
}
