//! The front page of `common` names its files in an order in which each uses only those before it.

#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src");

fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(Path::new(SOURCES).join(path)).unwrap()
}

/// The names in a folder, of files without their ending; neither `lib` nor `mod`.
fn names(folder: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(Path::new(SOURCES).join(folder)).unwrap();
    let name = |path: &Path| path.file_stem().unwrap().to_str().unwrap().to_owned();
    let names = entries.map(|entry| name(&entry.unwrap().path()));
    names
        .filter(|name| name != "lib" && name != "mod")
        .collect()
}

/// What stands behind `start` wherever a program's lines have it: the first name of a path. The
/// tests of a file, at its end, may use what they like.
fn named_after(start: &str, text: &str) -> BTreeSet<String> {
    let program = text.split("\nmod tests {").next().unwrap();
    let lines = program
        .lines()
        .filter(|line| !line.trim().starts_with("//"));
    let behind = lines.flat_map(|line| line.split(start).skip(1));
    let behind = behind.inspect(|rest| assert!(!rest.starts_with('{'), "{start}{rest}"));
    let name = |text: &str| {
        text.split(|c: char| !c.is_alphanumeric() && c != '_')
            .next()
            .map(String::from)
    };
    behind.filter_map(name).collect()
}

/// The files that the front page names: first those outside its table, then the table's.
fn order() -> Vec<String> {
    let page = read("lib.rs");
    let page = page.lines().filter_map(|line| line.strip_prefix("//! "));
    let (table, text): (Vec<_>, Vec<_>) = page.partition(|line| line.starts_with('|'));
    let quoted = |line: &&str| -> Vec<String> {
        let quoted = line.split('`').skip(1).step_by(2);
        let name = |word: &str| {
            word.strip_suffix(".rs")
                .or(word.strip_suffix('/'))
                .map(String::from)
        };
        quoted.filter_map(name).collect()
    };
    let named = text.iter().chain(&table).flat_map(quoted);
    named.filter(|name| !name.contains('/')).collect()
}

#[test]
fn each_file_uses_only_those_before_it() {
    let order = order();
    let all: BTreeSet<_> = order.iter().cloned().collect();
    assert_eq!(all, names(""), "the front page names each file");
    assert_eq!(all.len(), order.len(), "once: {order:?}");
    for (at, name) in order.iter().enumerate() {
        let is_folder = Path::new(SOURCES).join(name).is_dir();
        let files = match is_folder {
            true => names(name)
                .into_iter()
                .chain(["mod".into()])
                .map(|file| format!("{name}/{file}.rs"))
                .collect(),
            false => vec![format!("{name}.rs")],
        };
        for file in files {
            let used = named_after("crate::", &read(&file));
            let later: Vec<_> = order[at..]
                .iter()
                .filter(|other| *other != name && used.contains(*other))
                .collect();
            assert!(
                later.is_empty(),
                "{file} uses {later:?}, which the front page names after it"
            );
        }
    }
}

/// The files of a folder serve its `mod.rs`, and take nothing from it.
#[test]
fn no_folder_has_a_circle() {
    for folder in order()
        .iter()
        .filter(|name| Path::new(SOURCES).join(name).is_dir())
    {
        let uses = |file: &String| named_after("super::", &read(format!("{folder}/{file}.rs")));
        let files = names(folder);
        let mut left: BTreeMap<_, _> = files.iter().map(|file| (file, uses(file))).collect();
        while let Some(free) = left
            .iter()
            .find(|(_, used)| used.is_disjoint(&left.keys().map(|it| (*it).clone()).collect()))
            .map(|(free, _)| *free)
        {
            let used = left.remove(free).unwrap();
            let unknown: Vec<_> = used.difference(&files).collect();
            assert!(
                unknown.is_empty(),
                "{folder}/{free}.rs takes {unknown:?} from mod.rs"
            );
        }
        assert!(left.is_empty(), "a circle in {folder}/: {left:?}");
    }
}
