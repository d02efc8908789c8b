//! A pool counts the words of many books, and one that is lost takes the others with it.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use common::{Array, Pool, Process, TaskError};

/// Words, and how often each occurs.
type Words = BTreeMap<String, u64>;

fn read(book: u32) -> Result<String> {
    match book {
        4 => bail!("it is lost"),
        9 => panic!("it is wet"),
        _ => {
            let days = "Storm, and waves.\n".repeat(book as usize);
            Ok(days + "A whale! No land.\n")
        }
    }
}

/// Counts the words of a text, and notes how many: first those that the parent has counted.
fn count(text: &str, account: &Array<u64>) -> Result<Words> {
    let mut words = Words::new();
    for word in text.split_whitespace() {
        let word = word.trim_matches(|it: char| !it.is_alphabetic());
        *words.entry(word.to_lowercase()).or_default() += 1;
    }
    let place = usize::from(Process::current_name() != "main");
    account.lock()?[place] += words.values().sum::<u64>();
    Ok(words)
}

// Your part begins here.

/// The words of all books that can be read, and the errors of the others, with their numbers.
fn count_all(books: u32, account: &Array<u64>) -> Result<(Words, Vec<(u32, TaskError)>)> {
    let pool = Pool::new(2, |book| count(&read(book)?, account))?;
    let mut words = Words::new();
    for counted in pool.map(1..=books)? {
        for (word, times) in counted {
            *words.entry(word).or_default() += times;
        }
    }
    pool.join()?;
    Ok((words, Vec::new()))
}

// Your part ends here.

fn main() -> Result<()> {
    common::end_on_broken_pipe();
    let books = std::env::args().nth(1).map_or(Ok(12), |it| it.parse())?;
    let account = Array::new(&[0, 0])?;
    let (words, errors) = count_all(books, &account)?;
    for (book, error) in errors {
        println!("Book {book} is not counted.");
        eprintln!("book {book}: {error}");
    }
    for word in ["storm", "whale"] {
        println!("{word}: {}", words.get(word).unwrap_or(&0));
    }
    let account = account.lock()?;
    let (parent, workers) = (account[0], account[1]);
    println!("Counted by the workers: {workers} words, by the parent: {parent}.");
    Ok(())
}
