//! What a student types, and what comes of it.

#![allow(clippy::unwrap_used, missing_docs)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread::sleep;
use std::time::{Duration, Instant};

use grader::family;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A folder that is there for one test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("grade-{name}-{}", std::process::id()));
        fs::create_dir_all(path.join("src/bin")).unwrap();
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

fn grade(desk: &Folder, args: &[&str]) -> Output {
    let mut grade = Command::new(env!("CARGO_BIN_EXE_grade"));
    grade
        .arg("--desk")
        .arg(&desk.0)
        .args(args)
        .output()
        .unwrap()
}

fn said(output: &Output) -> String {
    [&*output.stdout, &*output.stderr]
        .map(String::from_utf8_lossy)
        .concat()
}

/// What it says, and its exit code.
#[track_caller]
fn says(desk: &Folder, args: &[&str], code: i32, texts: &[&str]) {
    let output = grade(desk, args);
    let said = said(&output);
    assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
    for text in texts {
        assert!(
            said.contains(text),
            "{args:?} does not say {text:?}: {said}"
        );
    }
}

fn exercise(file: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.join("02-queue/exercises/2.1-say-the-end").join(file)
}

#[test]
fn from_the_start_to_the_solution() {
    let desk = Folder::new("desk");
    let file = desk.0.join("src/bin/2-1.rs");
    says(
        &desk,
        &[],
        0,
        &["2.1", "Say the end", "Next: cargo grade start 1.1"],
    );
    says(&desk, &["2.1"], 2, &["begin with `cargo grade start 2.1`"]);
    says(&desk, &["all"], 2, &["nothing is on the desk"]);
    says(
        &desk,
        &["start", "2.1"],
        0,
        &["# 2.1 Say the end", "2-1.rs"],
    );
    assert_eq!(
        fs::read(&file).unwrap(),
        fs::read(exercise("starter.rs")).unwrap()
    );
    says(
        &desk,
        &["start", "2.1"],
        2,
        &["is there already", "cargo grade reset 2.1"],
    );
    says(
        &desk,
        &["2.1"],
        1,
        &["WRONG", "expected: ", "By hand", "book/src/queue.md"],
    );
    says(&desk, &[], 0, &["WRONG"]);
    says(&desk, &["solution", "2.1"], 2, &["--anyway"]);
    for number in ["1", "2", "3", "3"] {
        says(
            &desk,
            &["hint", "2.1"],
            0,
            &[&format!("Hint {number} of 3")],
        );
    }

    fs::write(&file, "fn main() { this is no Rust }").unwrap();
    says(&desk, &["2.1"], 1, &["COMPILE", "error"]);

    fs::copy(exercise("solution.rs"), &file).unwrap();
    let json = desk.0.join("verdict.json");
    let json = json.to_str().unwrap();
    says(
        &desk,
        &["2-1", "--json", json],
        0,
        &["PASS", "Compare with the solution"],
    );
    let reports: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(json).unwrap()).unwrap();
    assert_eq!(reports[0]["verdict"], "PASS");
    says(&desk, &["solution", "2.1"], 0, &["counter.close()"]);
    says(&desk, &["all"], 0, &["2.1", "PASS"]);

    says(
        &desk,
        &["reset", "2.1"],
        0,
        &["is the starter again", "2-1.rs.1"],
    );
    assert_eq!(
        fs::read(&file).unwrap(),
        fs::read(exercise("starter.rs")).unwrap()
    );
    let kept = desk.0.join("src/bin/2-1.rs.1");
    assert_eq!(
        fs::read(kept).unwrap(),
        fs::read(exercise("solution.rs")).unwrap()
    );
    says(&desk, &[], 0, &["begun"]);
}

#[test]
fn what_cannot_be_is_said() {
    let desk = Folder::new("wrong");
    says(&desk, &["2.9"], 2, &["there is no exercise 2.9", "2.1"]);
    says(
        &desk,
        &["2.1", "--file", "/no/such.rs"],
        2,
        &["/no/such.rs"],
    );
    says(
        &desk,
        &["class", "/no/such/folder"],
        2,
        &["/no/such/folder"],
    );
    let empty = desk.0.to_str().unwrap();
    fs::remove_dir_all(desk.0.join("src")).unwrap();
    says(&desk, &["class", empty], 2, &["no folder of a student"]);
}

#[test]
fn a_class_is_a_table() {
    let class = Folder::new("class");
    for (student, file) in [("ada", "solution.rs"), ("b, \"c\"", "starter.rs")] {
        let folder = class.0.join(student).join("homework");
        fs::create_dir_all(&folder).unwrap();
        fs::copy(exercise(file), folder.join("2-1.rs")).unwrap();
    }
    fs::remove_dir_all(class.0.join("src")).unwrap();
    let csv = class.0.join("report.csv");
    let folder = class.0.to_str().unwrap();
    let table = "ada      PASS      1\nb, \"c\"   WRONG     0\n";
    says(
        &class,
        &["class", folder, "--csv", csv.to_str().unwrap()],
        0,
        &[table],
    );
    let csv = fs::read_to_string(csv).unwrap();
    assert!(csv.contains("\nada,,,,,,PASS,"), "{csv}");
    assert!(csv.contains("\n\"b, \"\"c\"\"\",,,,,,WRONG,"), "{csv}");
}

#[test]
fn an_archive_has_no_solutions() {
    let folder = Folder::new("pack");
    let archive = folder.0.join("course.tar.gz");
    let archive = archive.to_str().unwrap();
    let output = grade(&folder, &["pack", archive]);
    if said(&output).contains("not a git repository") {
        return; // nor is there anything to make an archive of
    }
    assert!(output.status.success(), "{}", said(&output));
    let list = Command::new("tar").args(["tzf", archive]).output().unwrap();
    let list = String::from_utf8(list.stdout).unwrap();
    let has = |name: &str| list.lines().any(|it| it.ends_with(name));
    assert!(has("2.1-say-the-end/starter.rs") && has("course/README.md"));
    assert!(!has("solution.rs") && !list.contains("/wrong/"));
}

#[test]
fn whoever_ends_the_grader_ends_the_program() {
    let desk = Folder::new("ended");
    let program = desk.0.join("waits.rs");
    let source = "fn main() { std::thread::sleep(std::time::Duration::from_secs(1000)) }";
    fs::write(&program, source).unwrap();
    for (signal, code) in [(Signal::SIGINT, Some(130)), (Signal::SIGKILL, None)] {
        let mut grade = Command::new(env!("CARGO_BIN_EXE_grade"));
        let mut grade = grade
            .arg("2.1")
            .arg("--file")
            .arg(&program)
            .spawn()
            .unwrap();
        let pid = within(Duration::from_secs(100), || {
            let family = family::family();
            let is_it = |it: &&family::Member| it.parent == grade.id() && it.command == "program";
            family.iter().find(is_it).map(|it| it.pid)
        });
        kill(Pid::from_raw(grade.id().cast_signed()), signal).unwrap();
        assert_eq!(grade.wait().unwrap().code(), code);
        within(Duration::from_secs(10), || {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat"));
            stat.map_or(true, |it| it.contains(") Z ")).then_some(())
        });
    }
}

#[track_caller]
fn within<T>(limit: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(start.elapsed() < limit, "not within {limit:?}");
        sleep(Duration::from_millis(5));
    }
}
