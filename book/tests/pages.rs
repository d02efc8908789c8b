//! The pages say what is true, and the commands in them run.

use std::collections::BTreeSet;
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use book::commands::{self, Action};
use book::pages::Book;
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
            Action::Run(target, arguments) => {
                let examples = folder.join("examples");
                let folder = if target.kind == "bin" {
                    &folder
                } else {
                    &examples
                };
                let mut command = Command::new(folder.join(&target.name));
                command.args(arguments);
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
