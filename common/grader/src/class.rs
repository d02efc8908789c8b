//! A folder of students, a folder each.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::build::Crates;
use crate::course::Course;
use crate::judge;
use crate::run::Runner;

/// A student's verdicts, in the order of the exercises; `None` where there is no program.
#[derive(Debug)]
pub struct Student {
    /// The folder's name.
    pub name: String,
    /// A word each.
    pub verdicts: Vec<Option<String>>,
}

/// Judges all programs of all students. An exercise's program is a file `2-1.rs`, in the student's
/// folder or in one below.
///
/// # Errors
/// There is no such folder, or nobody in it; the system's.
pub fn judge_all(
    runner: &Runner,
    crates: &Crates,
    course: &Course,
    folder: &Path,
    progress: &dyn Fn(&str),
) -> Result<Vec<Student>> {
    let read = || fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()));
    let folders = read()?
        .flatten()
        .map(|it| it.path())
        .filter(|it| it.is_dir());
    let mut folders: Vec<PathBuf> = folders.collect();
    folders.sort();
    ensure!(
        !folders.is_empty(),
        "{} has no folder of a student",
        folder.display()
    );
    let mut students = Vec::new();
    for folder in folders {
        let name = folder
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let files = files(&folder, 4);
        let mut verdicts = Vec::new();
        for exercise in &course.exercises {
            let wanted = exercise.spec.program() + ".rs";
            let file = files
                .iter()
                .find(|it| it.file_name().is_some_and(|it| *it == *wanted));
            let Some(file) = file else {
                verdicts.push(None);
                continue;
            };
            let say = |what: &str| progress(&format!("{name}, {}: {what}", exercise.spec.number));
            let file = fs::canonicalize(file)?;
            let report = judge::judge_source(runner, crates, exercise, &file, &say)?;
            verdicts.push(Some(report.verdict.to_string()));
        }
        students.push(Student { name, verdicts });
    }
    Ok(students)
}

fn files(folder: &Path, depth: usize) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|it| it.path()).collect();
    paths.sort();
    let below = |path: PathBuf| match path.is_dir() {
        true if depth > 0 => files(&path, depth - 1),
        true => Vec::new(),
        false if path.is_file() => vec![path],
        false => Vec::new(), // a pipe would be read for ever
    };
    paths.into_iter().flat_map(below).collect()
}

/// Students by exercises.
///
/// # Errors
/// The writer's.
pub fn print_table(course: &Course, students: &[Student], to: &mut dyn Write) -> Result<()> {
    let names = students.iter().map(|it| it.name.chars().count());
    let width = names.max().unwrap_or(0).max("student".len());
    let used: Vec<usize> = (0..course.exercises.len())
        .filter(|&at| students.iter().any(|it| it.verdicts[at].is_some()))
        .collect();
    write!(to, "{:width$}", "student")?;
    for &at in &used {
        write!(to, "  {:8}", course.exercises[at].spec.number)?;
    }
    writeln!(to, "  passed")?;
    for student in students {
        write!(to, "{:width$}", student.name)?;
        for &at in &used {
            let verdict = student.verdicts[at].as_deref().unwrap_or("-");
            write!(to, "  {:8}", verdict.split(' ').next().unwrap_or("-"))?;
        }
        let passed = student
            .verdicts
            .iter()
            .flatten()
            .filter(|it| *it == "PASS")
            .count();
        writeln!(to, "  {passed}")?;
    }
    Ok(())
}

/// The same as CSV, with all exercises.
///
/// # Errors
/// The writer's.
pub fn write_csv(course: &Course, students: &[Student], to: &mut dyn Write) -> Result<()> {
    let numbers = course.exercises.iter().map(|it| it.spec.number.as_str());
    writeln!(to, "student,{}", numbers.collect::<Vec<_>>().join(","))?;
    for Student { name, verdicts } in students {
        let name = match name.contains(['"', ',', '\n']) {
            true => format!("\"{}\"", name.replace('"', "\"\"")),
            false => name.clone(),
        };
        let verdicts = verdicts.iter().map(|it| it.as_deref().unwrap_or(""));
        writeln!(to, "{name},{}", verdicts.collect::<Vec<_>>().join(","))?;
    }
    Ok(())
}
