//! What the pages include of the measurements follows from the measurements.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::fs;

use anyhow::Result;
use benchmarks::book::{DIRECTORY, read, render};
use benchmarks::record::{GrowthLine, PeersLine, from_csv, to_csv};
use serde::Serialize;
use serde::de::DeserializeOwned;

const AGAIN: &str = "render it again:\n\n    cargo run -p benchmarks --bin render\n";

#[test]
fn each_file_is_rendered_from_the_measurements() -> Result<()> {
    let rendered = render(&read("peers.csv")?, &read("growth.csv")?)?;
    for (name, content) in &rendered {
        let same = read(name)? == *content;
        assert!(
            same,
            "{DIRECTORY}/{name} is not what the CSV files say; {AGAIN}"
        );
    }
    let mut expected: BTreeSet<_> = rendered.into_keys().collect();
    expected.extend(["peers.csv", "growth.csv"].map(String::from));
    let mut present = BTreeSet::new();
    for entry in fs::read_dir(DIRECTORY)? {
        present.insert(entry?.file_name().to_string_lossy().into_owned());
    }
    // Those the benchmark of `04-pool/cluster` writes.
    present.retain(|name| !name.starts_with("cluster"));
    assert_eq!(present, expected, "in {DIRECTORY}");
    Ok(())
}

#[test]
fn each_chart_is_one_block_of_html_with_names_of_its_own() -> Result<()> {
    let mut names = BTreeSet::new();
    for (file, svg) in render(&read("peers.csv")?, &read("growth.csv")?)? {
        if !file.ends_with(".svg") {
            continue;
        }
        assert!(
            svg.starts_with("<svg ") && svg.ends_with("</svg>\n"),
            "{file}"
        );
        assert!(
            !svg.contains("\n\n"),
            "{file}: an empty line ends a block of HTML"
        );
        assert!(svg.contains("role=\"img\""), "{file}");
        assert!(!svg.contains(" width="), "{file}: has a fixed width");
        let ids = svg
            .match_indices(" id=\"")
            .map(|(at, found)| &svg[at + found.len()..]);
        let ids: Vec<_> = ids.filter_map(|rest| rest.split('"').next()).collect();
        assert_eq!(ids.len(), 2, "{file}: a title and a description");
        for id in ids {
            assert!(names.insert(id.to_owned()), "{file}: {id} is taken");
        }
        let described = svg
            .split_once("<desc")
            .is_some_and(|(_, rest)| rest.len() > 100);
        assert!(described, "{file}");
    }
    Ok(())
}

#[test]
fn each_figure_stands_between_anchors_of_its_own() -> Result<()> {
    let figures = render(&read("peers.csv")?, &read("growth.csv")?)?.remove("figures.txt");
    let figures = figures.unwrap_or_default();
    let lines: Vec<_> = figures.lines().collect();
    let mut names = BTreeSet::new();
    for section in lines.chunks(3) {
        let [begin, value, end] = section else {
            panic!("{section:?} is no section");
        };
        let name = begin.strip_prefix("# ANCHOR: ").unwrap_or_default();
        assert_eq!(*end, format!("# ANCHOR_END: {name}"));
        assert!(!value.trim().is_empty(), "{name}");
        assert!(names.insert(name), "{name} twice");
    }
    for name in [
        "lock-ours",
        "lock-x-cpython",
        "queue-x-crate",
        "start-limit",
    ] {
        assert!(names.contains(name), "no figure {name}");
    }
    Ok(())
}

/// A field that is renamed would be missing from what was measured before, and one that may be
/// empty would be so without a word.
#[test]
fn what_is_written_has_the_fields_that_are_read() -> Result<()> {
    fn check<T: Serialize + DeserializeOwned + PartialEq + Debug>(name: &str) -> Result<()> {
        let file = read(name)?;
        let (lines, machine) = from_csv::<T>(&file)?;
        let again = to_csv(&lines, &machine)?;
        assert_eq!(from_csv(&again)?, (lines, machine), "{name}");
        let fields = |csv: &str| -> BTreeSet<String> {
            let first = csv.lines().next().unwrap_or_default();
            first.split(',').map(String::from).collect()
        };
        assert_eq!(fields(&again), fields(&file), "{name}");
        Ok(())
    }
    check::<PeersLine>("peers.csv")?;
    check::<GrowthLine>("growth.csv")
}
