// WRONG: the task returns the error beside the book, which it cannot do when it panics.

/// The words of all books that can be read, and the errors of the others, with their numbers.
fn count_all(books: u32, account: &Array<u64>) -> Result<(Words, Vec<(u32, TaskError)>)> {
    let pool = Pool::new(2, |book: u32| {
        let counted = read(book).and_then(|text| count(&text, account));
        anyhow::Ok((book, counted.map_err(|error| error.to_string())))
    })?;
    let (mut words, mut errors) = (Words::new(), Vec::new());
    for outcome in pool.imap_unordered(1..=books) {
        match outcome {
            Ok((_, Ok(counted))) => {
                for (word, times) in counted {
                    *words.entry(word).or_default() += times;
                }
            }
            Ok((book, Err(error))) => errors.push((book, TaskError::Failed(error))),
            Err(_) => {}
        }
    }
    pool.join()?;
    Ok((words, errors))
}
