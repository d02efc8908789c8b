//! What holds of every exercise; and three of them are judged, from end to end.

#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use grader::build::Crates;
use grader::course::{Course, Exercise, Point, part_of};
use grader::verdict::Verdict;

const CHAPTERS: [(&str, &str); 4] = [
    ("01-process", "process"),
    ("02-queue", "queue"),
    ("03-callback", "callback"),
    ("04-pool", "pool"),
];
/// These take longer, and their tasks say so.
const LONG: [&str; 3] = ["2.3", "2.4", "4.1"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

fn exercises() -> Vec<Exercise> {
    Course::load(&root()).unwrap().exercises
}

/// A heading as the book makes an anchor of it.
fn slug(title: &str) -> String {
    let title = title.trim().to_lowercase().replace(' ', "-");
    let keep = |it: &char| it.is_alphanumeric() || "-_".contains(*it);
    title.chars().filter(keep).collect()
}

/// All faults at once, so that who adds an exercise sees what is missing.
fn none(faults: Vec<String>) {
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

fn chapter(exercise: &Exercise) -> usize {
    let (chapter, _) = exercise.spec.number.split_once('.').unwrap();
    chapter.parse::<usize>().unwrap() - 1
}

#[test]
fn there_are_twenty_five_in_each_chapter() {
    let numbers: Vec<String> = exercises()
        .iter()
        .map(|it| it.spec.number.clone())
        .collect();
    let all = (1..=4).flat_map(|chapter| (1..=5).map(move |at| format!("{chapter}.{at}")));
    assert_eq!(numbers, all.collect::<Vec<_>>());
}

#[test]
fn each_has_all_that_it_needs() {
    let mut faults = Vec::new();
    for exercise in exercises() {
        let spec = &exercise.spec;
        let number = &spec.number;
        let mut demand = |holds: bool, what: &str| {
            if !holds {
                faults.push(format!("{number}: {what}"));
            }
        };
        let folder = exercise.folder.file_name().unwrap().to_str().unwrap();
        demand(
            folder.starts_with(&format!("{number}-")),
            "the folder begins with the number",
        );
        let parent = exercise.folder.parent().unwrap().parent().unwrap();
        demand(
            parent.ends_with(CHAPTERS[chapter(&exercise)].0),
            "it lies in its chapter's folder",
        );
        let is_long = LONG.contains(&number.as_str());
        let minutes = if is_long { 30..=40 } else { 10..=20 };
        demand(
            minutes.contains(&spec.minutes),
            "it takes ten to twenty minutes, if it is not a long one",
        );

        let task = exercise.text("task.md").unwrap();
        let first = task.lines().next().unwrap_or_default();
        demand(
            first.starts_with(&format!("# {number} {}", spec.title)),
            "the task begins with `# NUMBER TITLE`",
        );
        demand(
            first.contains("minutes") == is_long,
            "a long one says `(30 minutes)` in its first line, and no other does",
        );
        let width = task.lines().map(|it| it.chars().count()).max().unwrap();
        demand(
            task.lines().count() <= 27 && width <= 80,
            "the task is one screen: 27 lines of 80 columns",
        );
        demand(
            task.contains("Your part is `") || task.contains("Change `"),
            "the task names the student's part: ``Your part is `FUNCTION` `` or ``Change `...``",
        );
        demand(
            exercise.hints().unwrap().len() == 3,
            "there are three hints, with lines `---` between",
        );

        let page = spec.read.split_once(".html#").unwrap();
        let text = fs::read_to_string(root().join(format!("book/src/{}.md", page.0)));
        let headings = text.unwrap_or_default();
        let mut headings = headings.lines().filter_map(|it| it.strip_prefix("##"));
        demand(
            headings.any(|it| slug(it.trim_start_matches('#')) == page.1),
            "`read` is a page of the book and a section of it",
        );

        let starter = exercise.text("starter.rs").unwrap();
        let names = |name: &str| {
            let stem = name
                .trim_end_matches(|it: char| it.is_ascii_digit())
                .trim_end();
            name == "main" || starter.contains(stem) || name.starts_with("worker ")
        };
        for run in &spec.run {
            let points = [&run.hold, &run.until, &run.kill].into_iter().flatten();
            let points = points.chain(&run.meanwhile);
            for Point { process, .. } in points {
                demand(names(process), &format!("no process is called {process:?}"));
            }
        }

        let words: Vec<String> = [Verdict::Pass, Verdict::Compile, Verdict::Wrong]
            .into_iter()
            .chain([
                Verdict::Deadlock,
                Verdict::Stuck,
                Verdict::Busy,
                Verdict::Crash,
            ])
            .chain([
                Verdict::Orphan,
                Verdict::Leak,
                Verdict::Order,
                Verdict::Missing,
            ])
            .chain([Verdict::Slow])
            .map(|it| it.word().to_owned())
            .collect();
        let wrong = exercise.wrong_ways().unwrap();
        demand(wrong.len() >= 3, "there are three wrong ways");
        let stated = wrong.iter().map(|it| &it.verdict).chain([&spec.starter]);
        for stated in stated {
            demand(
                words[1..].contains(stated),
                &format!("{stated:?} is no verdict of a wrong program"),
            );
        }
    }
    none(faults);
}

/// A program without its head, in front of the student's part and behind it.
fn around_the_part(program: &str) -> (String, String) {
    let part = part_of(program).unwrap();
    let before = program[..part.start].lines();
    let before = before.skip_while(|it| it.starts_with("//!"));
    let before = before.collect::<Vec<_>>().join("\n");
    (before, program[part.end..].to_owned())
}

#[test]
fn starter_and_solution_differ_in_the_students_part_alone() {
    for exercise in exercises() {
        let [starter, solution] =
            ["starter.rs", "solution.rs"].map(|it| around_the_part(&exercise.text(it).unwrap()));
        assert_eq!(starter, solution, "{}", exercise.spec.number);
    }
}

#[test]
fn all_programs_are_formatted() {
    let mut rustfmt = Command::new("rustfmt");
    rustfmt.args(["--check", "--edition", "2024"]);
    for exercise in exercises() {
        rustfmt.args(["starter.rs", "solution.rs"].map(|it| exercise.folder.join(it)));
        for way in exercise.wrong_ways().unwrap() {
            rustfmt.arg(exercise.folder.join(format!("wrong/{}.rs", way.name)));
        }
    }
    let output = rustfmt.output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
}

#[test]
fn clippy_likes_every_solution() {
    let crates = Crates::build(&root()).unwrap();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let mut faults = Vec::new();
    for exercise in exercises() {
        let solution = exercise.folder.join("solution.rs");
        if let Err(message) = crates.lint(&solution, folder).unwrap() {
            faults.push(message);
        }
    }
    none(faults);
}

/// The words of what a reader has read: the pages up to a chapter, with what they include.
fn words_up_to(chapter: usize) -> HashSet<String> {
    let pages = CHAPTERS[..=chapter].iter().map(|(_, page)| *page);
    let mut shown = HashSet::new();
    for page in ["introduction", "rust"].into_iter().chain(pages) {
        let folder = root().join("book/src");
        let text = fs::read_to_string(folder.join(format!("{page}.md"))).unwrap();
        let included = text.split("{{#include ").skip(1);
        let included = included.map(|it| it.split(['}', ':']).next().unwrap());
        let files: BTreeSet<PathBuf> = included.map(|it| folder.join(it)).collect();
        let files = files.iter().filter_map(|it| fs::read_to_string(it).ok());
        for text in files.chain([text.clone()]) {
            shown.extend(words(&text));
        }
    }
    shown
}

fn words(text: &str) -> impl Iterator<Item = String> {
    let words = text.split(|it: char| !(it.is_alphanumeric() || it == '_'));
    words.map(str::to_owned)
}

/// What is called: `.name(`, `.name::<`, `Type::name`.
fn calls(program: &str) -> BTreeSet<String> {
    let code = program
        .lines()
        .filter(|it| !it.trim_start().starts_with("//"));
    let code = code.collect::<Vec<_>>().join("\n");
    let mut calls = BTreeSet::new();
    for separator in [".", "::"] {
        for after in code.split(separator).skip(1) {
            let end = after.find(|it: char| !(it.is_alphanumeric() || it == '_'));
            let (name, rest) = after.split_at(end.unwrap_or(after.len()));
            if !name.is_empty() && (separator == "::" || rest.starts_with(['(', ':'])) {
                calls.insert(name.to_owned());
            }
        }
    }
    calls
}

#[test]
fn a_solution_uses_what_the_pages_have_shown() {
    let mut faults = Vec::new();
    for exercise in exercises() {
        let solution = exercise.text("solution.rs").unwrap();
        let part = &solution[part_of(&solution).unwrap()];
        // What stands in the starter can be read there.
        let mut shown = words_up_to(chapter(&exercise));
        shown.extend(words(&exercise.text("starter.rs").unwrap()));
        for call in calls(part) {
            if !shown.contains(&call) && call.parse::<u32>().is_err() {
                faults.push(format!(
                    "{}: no page up to there shows `{call}`",
                    exercise.spec.number
                ));
            }
        }
    }
    none(faults);
}

#[test]
fn three_exercises_are_judged_as_they_say() {
    let mut grade = Command::new(env!("CARGO_BIN_EXE_grade"));
    let output = grade
        .args(["selfcheck", "1.2", "2.1", "3.1"])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
