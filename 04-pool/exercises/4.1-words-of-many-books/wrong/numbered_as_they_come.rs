// WRONG: numbers the outcomes as they come, so another book is named.

/// The words of all books that can be read, and the errors of the others, with their numbers.
fn count_all(books: u32, account: &Array<u64>) -> Result<(Words, Vec<(u32, TaskError)>)> {
    let pool = Pool::new(2, |book| count(&read(book)?, account))?;
    let (mut words, mut errors) = (Words::new(), Vec::new());
    for (book, counted) in (1..).zip(pool.imap_unordered(1..=books)) {
        match counted {
            Ok(counted) => {
                for (word, times) in counted {
                    *words.entry(word).or_default() += times;
                }
            }
            Err(error) => errors.push((book, error)),
        }
    }
    pool.join()?;
    Ok((words, errors))
}
