//! The page of error messages has all that `common` says, and the tests that pages name exist.

use std::fs;
use std::path::{Path, PathBuf};

use book::pages::Book;

fn root() -> &'static Path {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package
        .parent()
        .expect("the workspace is around this package")
}

/// The texts of all Rust files in a folder.
fn sources(folder: PathBuf) -> Vec<String> {
    let mut texts = Vec::new();
    for entry in fs::read_dir(folder).expect("the folder can be read") {
        let path = entry.expect("the folder can be read").path();
        if path.is_dir() {
            texts.extend(sources(path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            texts.push(fs::read_to_string(path).expect("a source is text"));
        }
    }
    texts
}

/// What stands between quotes where `code` begins, in one line.
fn quoted(code: &str) -> Option<String> {
    let code = code.trim_start().strip_prefix('"')?;
    let is_end = |&(place, _): &(usize, &str)| !code[..place].ends_with('\\');
    let (end, _) = code.match_indices('"').find(is_end)?;
    let lines = code[..end].split("\\\n").map(str::trim_start);
    Some(lines.collect::<String>().replace("\\\"", "\""))
}

/// `Enum::Variant` and its message, of the errors in a file that users can meet. One that is
/// another error's has none of its own.
fn errors(source: &str) -> Vec<(String, String)> {
    let is_error = |(place, attribute): (usize, &str)| {
        let (before, after) = (&source[..place], &source[place + attribute.len()..]);
        let (outside, inside) = before.rsplit_once("enum ")?;
        let (name, _) = inside.split_once(' ')?;
        let (_, variants) = after.split_once(")]")?;
        let is_variant = |line: &&str| line.starts_with(|c: char| c.is_ascii_uppercase());
        let variant = variants.lines().map(str::trim).find(is_variant)?;
        let variant = variant.split(|c: char| !c.is_alphanumeric()).next()?;
        let message = quoted(after).unwrap_or_default();
        outside
            .ends_with("pub ")
            .then(|| (format!("{name}::{variant}"), message))
    };
    source
        .match_indices("#[error(")
        .filter_map(is_error)
        .collect()
}

/// What a file prints on standard error, or has the compiler say.
fn other_messages(source: &str) -> Vec<String> {
    let starts = [
        "complain(",
        "complain(&format!(",
        "eprintln!(",
        "message = ",
        "give_up(",
        "io::Error::other(",
        "D::Error::custom(",
        "ErrorKind::InvalidData, ",
        "let reason = ",
    ];
    let places = starts.into_iter().flat_map(|start| {
        let places = source.match_indices(start);
        places.map(move |(place, _)| &source[place + start.len()..])
    });
    places.filter_map(quoted).collect()
}

/// Whether a line has a message, with any words in the place of what is in braces.
fn says(line: &str, message: &str) -> bool {
    let message = message.replace('`', "");
    let pieces = message.split('{');
    let mut fixed = pieces.map(|piece| piece.split_once('}').map_or(piece, |(_, rest)| rest));
    fixed
        .try_fold(line, |rest, piece| Some(rest.split_once(piece)?.1))
        .is_some()
}

#[test]
fn the_page_of_errors_has_each_message() {
    let book = Book::read(root()).expect("the book can be read");
    let mut pages = book.pages.iter();
    let page = pages.find(|page| page.name() == "errors.md");
    let blocks = page.expect("there is the page").shown.iter();
    let lines: Vec<String> = blocks
        .flat_map(|block| block.text.lines())
        .map(|line| line.replace('`', ""))
        .collect();
    let (mut missing, mut found) = (Vec::new(), 0);
    for source in sources(root().join("common/src")) {
        let program = source.split("\nmod tests {").next().unwrap_or_default();
        let errors = errors(program).into_iter();
        let others = other_messages(program).into_iter();
        for (name, message) in errors.chain(others.map(|message| (String::new(), message))) {
            found += 1;
            let provoked = |line: &String| {
                let text = line.strip_prefix(&format!("{name}: "));
                !name.is_empty() && text.is_some_and(|text| says(text, &message))
            };
            let has_words = !message.is_empty() && !message.starts_with("{0}");
            let typed = |line: &String| has_words && says(line, &message);
            if !lines.iter().any(|line| provoked(line) || typed(line)) {
                missing.push(format!("{name}: {message}"));
            }
        }
    }
    assert!(found > 50, "the messages are found: {found}");
    assert!(missing.is_empty(), "\n{}\n", missing.join("\n"));
}

/// `module::name` of a trial.
fn is_trial(code: &str) -> bool {
    let is_name = |name: &str| name.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    code.split_once("::")
        .is_some_and(|(module, name)| is_name(module) && is_name(name) && name.contains('_'))
}

#[test]
fn the_tests_that_pages_name_exist() {
    let book = Book::read(root()).expect("the book can be read");
    let sources = sources(root().join("common/tests"));
    let codes = book.pages.iter().flat_map(|page| {
        let codes = page.typed.iter().flat_map(|block| &block.codes);
        codes.map(|(code, _)| (&page.file, code))
    });
    let named: Vec<_> = codes.filter(|(_, code)| is_trial(code)).collect();
    assert!(named.len() > 10, "they are found: {named:?}");
    for (file, code) in named {
        let (_, name) = code.split_once("::").unwrap_or_default();
        let function = format!("fn {name}(");
        assert!(
            sources.iter().any(|source| source.contains(&function)),
            "{file}: no test {code}"
        );
    }
}
