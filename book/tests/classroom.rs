//! The teachers' page and the files for a class have every exercise of the course.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

fn root() -> &'static Path {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package
        .parent()
        .expect("the workspace is around this package")
}

fn read(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

/// The number, title and minutes of each exercise, as its `exercise.toml` has them.
fn exercises() -> Vec<[String; 3]> {
    let chapters = entries(root()).into_iter().filter(|it| it.is_dir());
    let folders = chapters.flat_map(|it| entries(&it.join("exercises")));
    let specs = folders.filter_map(|it| fs::read_to_string(it.join("exercise.toml")).ok());
    specs
        .map(|spec| ["number", "title", "minutes"].map(|field| value(&spec, field)))
        .collect()
}

fn value(spec: &str, field: &str) -> String {
    let values = spec.lines().filter_map(|line| line.split_once(" = "));
    let mut values = values.filter(|(name, _)| *name == field);
    let (_, value) = values.next().unwrap_or_else(|| panic!("{field} in {spec}"));
    value.trim_matches('"').to_owned()
}

#[test]
fn the_teachers_page_has_every_exercise() {
    let page = read("book/src/teachers.md");
    let exercises = exercises();
    assert!(!exercises.is_empty(), "the exercises are found");
    for [number, title, minutes] in exercises {
        let expected = format!("**{number} {title}** ({minutes} minutes).");
        assert!(page.contains(&expected), "{expected}");
    }
}

#[test]
fn a_class_takes_90_minutes() {
    let page = read("book/src/teachers.md");
    let classes: Vec<&str> = page.split("\n## Class ").skip(1).collect();
    assert_eq!(classes.len(), 4);
    for class in classes {
        let class = class.split("\n## ").next().unwrap_or_default();
        let rows = class.lines().filter_map(|line| line.strip_prefix("| "));
        let minutes = rows.filter_map(|row| row.split(' ').next()?.parse::<u32>().ok());
        assert_eq!(minutes.sum::<u32>(), 90, "{class}");
    }
}

#[test]
fn a_class_repository_tests_every_exercise() {
    let file = read(".github/classroom/autograding.json");
    let file: Value = serde_json::from_str(&file).expect("it is JSON");
    let tests = file["tests"].as_array().expect("it has tests");
    let commands: Vec<&str> = tests
        .iter()
        .filter_map(|test| test["run"].as_str())
        .collect();
    for [number, ..] in exercises() {
        let expected = format!("cargo grade {number}");
        assert!(commands.contains(&&*expected), "{expected}");
    }
}

/// A comma too many, and the editor or the container does not open.
#[test]
fn the_files_for_an_editor_are_json() {
    for file in [
        ".devcontainer/devcontainer.json",
        ".vscode/launch.json",
        ".vscode/tasks.json",
    ] {
        let parsed = serde_json::from_str::<Value>(&read(file));
        assert!(parsed.is_ok(), "{file}: {parsed:?}");
    }
}
