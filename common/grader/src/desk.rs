//! The desk: where the student's programs lie, and what is known of them.

use std::collections::BTreeMap;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use crate::course::Exercise;
use crate::verdict::{Report, Verdict};

/// A folder with programs, and a file beside them with what the grader said.
#[derive(Debug)]
pub struct Desk {
    root: PathBuf,
    notes: Notes,
}

/// By the exercise's number.
type Notes = BTreeMap<String, Note>;

#[derive(Clone, Default, Serialize, Deserialize, Debug)]
struct Note {
    /// Hints shown.
    hints: usize,
    /// The last verdict, of the program with this hash.
    verdict: Option<(String, u64)>,
    /// A program has passed once.
    #[serde(default)]
    passed: bool,
}

impl Desk {
    /// The desk in this folder, with programs in its `src/bin`.
    pub fn open(root: PathBuf) -> Desk {
        let notes = fs::read_to_string(notes_file(&root)).unwrap_or_default();
        let notes = serde_json::from_str(&notes).unwrap_or_default();
        Desk { root, notes }
    }

    /// Where an exercise's program lies, or would.
    pub fn file(&self, exercise: &Exercise) -> PathBuf {
        let name = exercise.spec.program() + ".rs";
        self.root.join("src/bin").join(name)
    }

    /// Puts the starter there.
    ///
    /// # Errors
    /// There is a program already.
    pub fn start(&self, exercise: &Exercise) -> Result<PathBuf> {
        let file = self.file(exercise);
        let number = &exercise.spec.number;
        ensure!(
            !file.exists(),
            "{} is there already, and is yours: `cargo grade reset {number}` puts the starter in \
             its place, and keeps it",
            file.display()
        );
        self.write_starter(exercise)
    }

    /// Puts the starter there again, and keeps what was there beside it.
    ///
    /// # Errors
    /// The system's.
    pub fn reset(&self, exercise: &Exercise) -> Result<(PathBuf, Option<PathBuf>)> {
        let file = self.file(exercise);
        let free = |number: &u32| !file.with_extension(format!("rs.{number}")).exists();
        let number = (1..).find(free).unwrap_or(1);
        let kept = file.with_extension(format!("rs.{number}"));
        let kept = match file.exists() {
            true => Some(
                fs::rename(&file, &kept)
                    .map(|()| kept)
                    .context("cannot keep the old one")?,
            ),
            false => None,
        };
        Ok((self.write_starter(exercise)?, kept))
    }

    fn write_starter(&self, exercise: &Exercise) -> Result<PathBuf> {
        let file = self.file(exercise);
        let folder = file.parent().unwrap_or(&self.root);
        let written = fs::create_dir_all(folder)
            .and_then(|()| fs::write(&file, exercise.text("starter.rs").unwrap_or_default()));
        written.with_context(|| format!("cannot write {}", file.display()))?;
        Ok(file)
    }

    /// The next hint, and which it is; the last one again and again.
    ///
    /// # Errors
    /// There are none.
    pub fn next_hint(&mut self, exercise: &Exercise) -> Result<(usize, String)> {
        let hints = exercise.hints()?;
        let note = self.notes.entry(exercise.spec.number.clone()).or_default();
        note.hints = (note.hints + 1).min(hints.len());
        let number = note.hints;
        let hint = hints
            .get(number.wrapping_sub(1))
            .context("there is no hint")?
            .clone();
        self.save();
        Ok((number, hint))
    }

    /// Keeps the verdict.
    pub fn note(&mut self, exercise: &Exercise, report: &Report) {
        let hash = hash(&self.file(exercise)).unwrap_or(0);
        let note = self.notes.entry(exercise.spec.number.clone()).or_default();
        note.verdict = Some((report.verdict.to_string(), hash));
        note.passed |= report.verdict == Verdict::Pass;
        self.save();
    }

    /// Where the student is with it.
    pub fn state(&self, exercise: &Exercise) -> String {
        let hash = hash(&self.file(exercise));
        let verdict = self
            .notes
            .get(&exercise.spec.number)
            .and_then(|it| it.verdict.as_ref());
        match (hash, verdict) {
            (None, _) => String::new(),
            (Some(hash), Some((verdict, of))) if hash == *of => verdict.clone(),
            (Some(_), _) => "begun".to_owned(),
        }
    }

    /// Whether a program has passed, this one or one before.
    pub fn has_passed(&self, exercise: &Exercise) -> bool {
        let note = self.notes.get(&exercise.spec.number);
        note.is_some_and(|it| it.passed)
    }

    /// Best effort: without it, the student sees one hint twice.
    fn save(&self) {
        if let Ok(text) = serde_json::to_string_pretty(&self.notes) {
            drop(fs::write(notes_file(&self.root), text + "\n"));
        }
    }
}

fn notes_file(root: &Path) -> PathBuf {
    root.join(".grade.json")
}

fn hash(file: &Path) -> Option<u64> {
    let mut hasher = DefaultHasher::new();
    fs::read(file).ok()?.hash(&mut hasher);
    Some(hasher.finish())
}
