//! The pages say what is true, and the commands in them run.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use book::commands::{self, Action};
use book::pages::{Book, Page};
use book::rules;
use testing::Program;

fn root() -> &'static Path {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package
        .parent()
        .expect("the workspace is around this package")
}

fn read() -> Book {
    Book::read(root()).expect("the book can be read")
}

#[test]
fn the_pages_keep_the_rules() {
    let faults = rules::faults(&read());
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn the_readme_says_how_to_install_mdbook() {
    let book = read();
    let install = format!("cargo install mdbook --version {} ", book.mdbook);
    let mut commands = commands::written(&book.readme).into_iter();
    assert!(commands.any(|command| command.text.starts_with(&install)));
}

/// What is to be done for a new one, beside its file and its snapshot, is what this lists.
#[test]
fn each_program_is_named_shown_and_tested() {
    let book = read();
    let runs = |page: &Page, program: &Action| {
        let commands = commands::written(page).into_iter();
        let mut actions =
            commands.filter_map(|command| commands::action(&book, &command.text).ok());
        actions.any(|action| match (&action, program) {
            (Action::Run(one, ..), Action::Run(other, ..)) => one == other,
            (Action::Python(one, _), Action::Python(other, _)) => one == other,
            _ => false,
        })
    };
    let mut missing = Vec::new();
    for (file, program, call) in chapters_programs(&book) {
        let mut lacks = |what: String| missing.push(format!("{file}: {what}"));
        let is_rust = matches!(program, Action::Run(..));
        if is_rust && !runs(&book.readme, &program) {
            lacks("no command in a table of README.md runs it".to_owned());
        }
        if !book.pages.iter().any(|page| runs(page, &program)) {
            lacks("no command in a page of the book runs it".to_owned());
        }
        let chapter = file.split('/').next().unwrap_or_default();
        let tests = format!("{chapter}/tests/programs.rs");
        if !(book.files)(&tests).is_some_and(|text| text.contains(&call)) {
            lacks(format!("no test in {tests} has {call}"));
        }
    }
    assert!(missing.is_empty(), "\n{}\n", missing.join("\n"));
}

/// The file of each program of a chapter, what runs it, and how the chapter's tests call it.
fn chapters_programs(book: &Book) -> Vec<(String, Action, String)> {
    let mut programs = Vec::new();
    let mut chapters = BTreeSet::new();
    for target in &book.targets {
        let call = match &*target.kind {
            "bin" => format!("(env!(\"CARGO_BIN_EXE_{}\"))", target.name),
            "example" => format!("(example(\"{}\"))", target.name),
            _ => continue,
        };
        let chapter = target.file.split('/').next().unwrap_or_default();
        if chapter.starts_with(|c: char| c.is_ascii_digit()) {
            chapters.insert(chapter);
            programs.push((
                target.file.clone(),
                Action::Run(target.clone(), Vec::new(), Vec::new()),
                call,
            ));
        }
    }
    assert_eq!(chapters.len(), 4, "the chapters are found: {chapters:?}");
    for chapter in chapters {
        let folder = root().join(chapter).join("python");
        for entry in fs::read_dir(folder).expect("each chapter has programs in Python") {
            let name = entry.expect("the folder can be read").file_name();
            let name = name.to_string_lossy();
            // What Python keeps of its own is no program.
            if let Some(stem) = name.strip_suffix(".py") {
                let file = format!("{chapter}/python/{name}");
                let action = Action::Python(file.clone(), Vec::new());
                programs.push((file, action, format!("python(\"{stem}\")")));
            }
        }
    }
    programs
}

/// The folder of the programs that cargo built for this test, all of them up to date.
fn programs() -> PathBuf {
    let test = env::current_exe().expect("the path of this test is known");
    let folder = test
        .ancestors()
        .nth(2)
        .expect("it is target/PROFILE/deps/TEST");
    let profile = match folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "test",
        Some(name) => name,
    };
    // `cargo test` has built them already, unless it was told to test only this package.
    let status = Command::new(env::var_os("CARGO").unwrap_or("cargo".into()))
        .args(["build", "--bins", "--examples", "--offline"])
        .args(["--quiet", "--profile", profile])
        .current_dir(root())
        .status()
        .expect("cargo can be run");
    assert!(status.success(), "cargo build: {status}");
    folder.to_owned()
}

#[test]
fn the_commands_run() {
    let book = read();
    let pages = book.pages.iter().chain([&book.readme]);
    let commands = pages.flat_map(commands::written);
    let commands = commands.filter(|command| command.not_run.is_none());
    let actions: BTreeSet<Action> = commands
        .filter_map(|command| commands::action(&book, &command.text).ok())
        .collect();
    let folder = programs();
    let has_python = Command::new("python3").arg("--version").output().is_ok();
    for action in actions {
        let mut command = match action {
            Action::Run(target, arguments, variables) => {
                let examples = folder.join("examples");
                let folder = if target.kind == "bin" {
                    &folder
                } else {
                    &examples
                };
                let mut command = Command::new(folder.join(&target.name));
                command.args(arguments).envs(variables);
                command
            }
            Action::Python(file, arguments) if has_python => {
                let mut command = Command::new("python3");
                command.arg(file).args(arguments);
                command
            }
            _ => continue,
        };
        command.current_dir(root());
        let shown = format!("{command:?}");
        let output = Program::start(command).wait();
        assert!(
            output.status.success(),
            "{shown}: {}\n{}",
            output.status,
            output.stderr
        );
    }
}
