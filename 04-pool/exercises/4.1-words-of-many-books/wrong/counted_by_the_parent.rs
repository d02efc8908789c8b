// WRONG: the workers only read, and send whole texts; the parent counts.

/// The words of all books that can be read, and the errors of the others, with their numbers.
fn count_all(books: u32, account: &Array<u64>) -> Result<(Words, Vec<(u32, TaskError)>)> {
    let pool = Pool::new(2, read)?;
    let handed: Vec<_> = (1..=books)
        .map(|book| (book, pool.apply_async(&book)))
        .collect();
    let (mut words, mut errors) = (Words::new(), Vec::new());
    for (book, text) in handed {
        match text.get() {
            Ok(text) => {
                for (word, times) in count(&text, account)? {
                    *words.entry(word).or_default() += times;
                }
            }
            Err(error) => errors.push((book, error)),
        }
    }
    pool.join()?;
    Ok((words, errors))
}
