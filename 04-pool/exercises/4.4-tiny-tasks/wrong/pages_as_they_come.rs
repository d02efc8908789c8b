// WRONG: large tasks, but the outcomes are put together as they come.

/// Decodes all letters.
fn decode_all(secret: &[u8]) -> Result<Vec<u8>> {
    let decode = |letters: Vec<u8>| anyhow::Ok(letters.into_iter().map(turn).collect::<Vec<u8>>());
    let pool = Pool::new(2, decode)?;
    let pages = secret.chunks(110).map(<[u8]>::to_vec);
    let mut plain = Vec::new();
    for letters in pool.imap_unordered(pages) {
        plain.extend(letters?);
    }
    pool.join()?;
    Ok(plain)
}
