//! The commands that the book names, and what they run.

use crate::pages::{Book, Kind, Page, reason};
use crate::targets::Target;

/// A command in a page.
#[derive(Debug)]
pub struct Written {
    /// Its line there.
    pub line: usize,
    /// As it is written.
    pub text: String,
    /// Why no test runs it.
    pub not_run: Option<String>,
}

/// What a command does.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// Runs a program of the workspace, with arguments, and variables in its environment.
    Run(Target, Vec<String>, Environment),
    /// Runs a Python program, with arguments.
    Python(String, Vec<String>),
    /// Does what `cargo test` or `.ci/run` do.
    Checked,
    /// Does what no test does.
    Unchecked,
}

/// Names and values, as in `NAME=value command`.
pub type Environment = Vec<(String, String)>;

/// The commands of a page: the lines of a `sh` listing, and inline code that begins like one.
pub fn written(page: &Page) -> Vec<Written> {
    let mut commands = Vec::new();
    for block in &page.typed {
        let after = &page.marked[block.range.end..];
        for (code, end) in &block.codes {
            if is_command(code) {
                let rest = page.marked[*end..].lines().next().unwrap_or_default();
                commands.push(Written {
                    line: page.line(*end),
                    text: code.clone(),
                    not_run: reason(rest, "not run").map(str::to_owned),
                });
            }
        }
        let shell = match &block.kind {
            Kind::Fenced(language) => language == "sh",
            kind => *kind == Kind::Indented,
        };
        let marked = after.trim_start().starts_with("<!-- not run: ");
        for (number, line) in block.text.lines().enumerate().filter(|_| shell) {
            let line = line.split(" #").next().unwrap_or_default().trim();
            let fenced = block.kind != Kind::Indented;
            if is_command(line) || (fenced && !line.is_empty() && !line.starts_with('#')) {
                let reason = if marked {
                    reason(after, "not run")
                } else {
                    None
                };
                commands.push(Written {
                    line: block.line + number + usize::from(fenced),
                    text: line.to_owned(),
                    not_run: reason.map(str::to_owned),
                });
            }
        }
    }
    commands
}

fn is_command(code: &str) -> bool {
    let (_, code) = environment(code);
    ["cargo ", "python3 ", "mdbook "]
        .iter()
        .any(|start| code.starts_with(start))
}

/// What stands before a command, and the command.
fn environment(mut code: &str) -> (Environment, &str) {
    let mut variables = Vec::new();
    while let Some((first, rest)) = code.split_once(' ')
        && let Some((name, value)) = first.split_once('=')
    {
        variables.push((name.to_owned(), value.to_owned()));
        code = rest.trim_start();
    }
    (variables, code)
}

/// What a command does, or what is wrong with it.
pub fn action(book: &Book, command: &str) -> Result<Action, String> {
    if command.contains(|c| "|&;<>$`'\"\\".contains(c)) {
        return Err("more than one plain command".to_owned());
    }
    let (variables, command) = environment(command);
    let mut words = command.split_whitespace();
    match (words.next(), words.next()) {
        (Some("cargo"), Some(subcommand)) => {
            match cargo(book, subcommand, &words.collect::<Vec<_>>())? {
                Action::Run(target, arguments, _) => Ok(Action::Run(target, arguments, variables)),
                other => Ok(other),
            }
        }
        _ if !variables.is_empty() => Err("no variables here".to_owned()),
        (Some("python3"), Some(file)) if (book.files)(file).is_some() => {
            let arguments = words.map(str::to_owned).collect();
            Ok(Action::Python(file.to_owned(), arguments))
        }
        (Some("mdbook"), Some(subcommand)) => match (words.next(), subcommand) {
            (Some("book"), "build") => Ok(Action::Checked),
            (Some("book"), "serve") => Ok(Action::Unchecked),
            _ => Err("mdbook builds or serves `book`".to_owned()),
        },
        (Some("python3"), Some(file)) => Err(format!("there is no file {file}")),
        _ => Err("neither cargo nor python3 nor mdbook".to_owned()),
    }
}

fn cargo(book: &Book, subcommand: &str, words: &[&str]) -> Result<Action, String> {
    let mut parts = words.split(|word| *word == "--");
    let options = parts.next().unwrap_or_default();
    let arguments = parts.next().unwrap_or_default();
    let mut found: Vec<&Target> = book.targets.iter().collect();
    let (mut chosen, mut version, mut free) = (false, "", Vec::new());
    let mut options = options.iter();
    while let Some(option) = options.next() {
        let mut value = || options.next().ok_or(format!("{option} of what?"));
        match *option {
            "-p" | "--package" => {
                let name = value()?;
                found.retain(|target| target.package == *name);
                if found.is_empty() {
                    return Err(format!("there is no package {name}"));
                }
            }
            "--bin" | "--example" | "--test" | "--bench" => {
                let name = value()?;
                let kind = option.trim_start_matches('-');
                found.retain(|target| target.kind == kind && target.name == *name);
                if found.is_empty() {
                    return Err(format!("there is no {kind} {name}"));
                }
                chosen = true;
            }
            "--version" => version = value()?,
            "--release"
            | "--locked"
            | "--offline"
            | "--quiet"
            | "-q"
            | "--workspace"
            | "--all"
            | "--all-targets"
            | "--lib"
            | "--doc"
            | "--no-deps"
            | "--open"
            | "--no-run"
            | "--document-private-items"
            | "--check"
            | "--examples"
            | "--bins" => {}
            option if option.starts_with('-') => return Err(format!("{option} is not known here")),
            word => free.push(word),
        }
    }
    match (subcommand, &free[..]) {
        ("run", []) => {
            if !chosen {
                found.retain(|target| target.kind == "bin");
            }
            match found[..] {
                [target] if ["bin", "example"].contains(&&*target.kind) => {
                    let arguments = arguments.iter().map(|word| word.to_string());
                    let arguments = arguments.collect();
                    Ok(Action::Run(target.clone(), arguments, Vec::new()))
                }
                [] => Err("there is no such program".to_owned()),
                _ => Err("which program?".to_owned()),
            }
        }
        // A word filters the tests.
        ("test", [] | [_]) | ("doc" | "clippy" | "fmt" | "build" | "check", []) => {
            Ok(Action::Checked)
        }
        ("bench", [] | [_]) => Ok(Action::Unchecked),
        ("install", ["mdbook"]) if version == book.mdbook => Ok(Action::Unchecked),
        ("install", ["mdbook"]) => Err(format!("book/build has mdBook {}", book.mdbook)),
        _ => Err("cargo is not used so here".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(package: &str, kind: &str, name: &str, file: &str) -> Target {
        Target {
            package: package.to_owned(),
            kind: kind.to_owned(),
            name: name.to_owned(),
            file: file.to_owned(),
        }
    }

    fn book(readme: &'static str) -> Book {
        let files = move |file: &str| match file {
            "README.md" => Some(readme.to_owned()),
            "book/build" => Some("a\nversion=0.5.4\n".to_owned()),
            "a/python/main.py" => Some(String::new()),
            _ => None,
        };
        let targets = vec![
            target("a", "bin", "01-a", "01-a/src/main.rs"),
            target("a", "example", "big", "01-a/examples/big/main.rs"),
            target("a", "test", "programs", "01-a/tests/programs.rs"),
            target("b", "lib", "b", "b/src/lib.rs"),
        ];
        Book::new(&["SUMMARY.md"], targets, Box::new(files))
    }

    #[test]
    fn commands_are_found_with_the_reason_why_they_are_not_run() {
        let book = book(
            "`cargo a` and `A=1 cargo b` <!-- not run: b is slow --> and `other`\n\n```sh\n\
             cargo c # why\n\n# so\nls\n```\n<!-- not run: c is slow -->\n\n    output\n    mdbook x\n",
        );
        let found = written(&book.readme);
        let found: Vec<_> = found
            .iter()
            .map(|command| (command.line, &*command.text, command.not_run.as_deref()))
            .collect();
        let expected = [
            (1, "cargo a", Some("b is slow")),
            (1, "A=1 cargo b", Some("b is slow")),
            (4, "cargo c", Some("c is slow")),
            (7, "ls", Some("c is slow")),
            (12, "mdbook x", None),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn commands_run_programs() {
        let book = book("");
        let run = |target: usize, arguments: &[&str]| {
            let arguments = arguments.iter().map(|word| word.to_string()).collect();
            let target = book.targets[target].clone();
            Ok(Action::Run(target, arguments, Vec::new()))
        };
        assert_eq!(action(&book, "cargo run --bin 01-a"), run(0, &[]));
        assert_eq!(action(&book, "cargo run -p a"), run(0, &[]));
        let big = "cargo run --release -p a --example big -- --n 2";
        assert_eq!(action(&book, big), run(1, &["--n", "2"]));
        let Ok(Action::Run(.., variables)) = action(&book, "A=1 B_C=x cargo run -p a") else {
            panic!("it is run");
        };
        let variables: Vec<_> = variables
            .iter()
            .map(|(name, value)| (&**name, &**value))
            .collect();
        assert_eq!(variables, [("A", "1"), ("B_C", "x")]);
        let python = Action::Python("a/python/main.py".to_owned(), vec!["3".to_owned()]);
        assert_eq!(action(&book, "python3 a/python/main.py 3"), Ok(python));
        for checked in [
            "cargo test",
            "cargo test -p a --test programs name",
            "cargo doc -p b --open",
        ] {
            assert_eq!(action(&book, checked), Ok(Action::Checked));
        }
        for unchecked in [
            "cargo install mdbook --version 0.5.4 --locked",
            "mdbook serve book --open",
        ] {
            assert_eq!(action(&book, unchecked), Ok(Action::Unchecked));
        }
    }

    #[test]
    fn what_cannot_run_is_said() {
        let book = book("");
        for (command, error) in [
            ("cargo run --bin 02-b", "no bin 02-b"),
            ("cargo run --example big -p b", "no package b"),
            ("cargo run -p b", "no such program"),
            ("cargo run --test programs", "which program"),
            ("cargo run --exmaple big", "--exmaple is not known"),
            ("cargo run --bin", "--bin of what"),
            ("cargo run -p 01-a", "no package 01-a"),
            ("cargo test --test program", "no test program"),
            ("cargo bench --bench peers", "no bench peers"),
            ("cargo install mdbook --version 0.5.3", "has mdBook 0.5.4"),
            ("cargo nextest", "not used so"),
            ("cargo run --bin 01-a | sort", "more than one"),
            ("python3 a/main.py", "no file a/main.py"),
            ("mdbook build", "`book`"),
            ("strace ls", "neither"),
            ("A=1 python3 a/python/main.py", "no variables"),
        ] {
            let found = action(&book, command).expect_err(command);
            assert!(found.contains(error), "{command}: {found}");
        }
    }
}
