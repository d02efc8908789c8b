//! The exercises: a folder each, in their chapter's.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

const CHAPTERS: [&str; 4] = ["01-process", "02-queue", "03-callback", "04-pool"];
/// The student's part lies between these two lines.
const BEGIN: &str = "// Your part begins here.";
const END: &str = "// Your part ends here.";

/// All exercises, by number.
#[derive(Debug)]
pub struct Course {
    /// In order.
    pub exercises: Vec<Exercise>,
}

/// One exercise.
#[derive(Debug)]
pub struct Exercise {
    /// Where it lies.
    pub folder: PathBuf,
    /// Its `exercise.toml`.
    pub spec: Spec,
}

/// What `exercise.toml` says.
#[derive(Clone, Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// Chapter and number: `2.1`.
    pub number: String,
    /// What it is called.
    pub title: String,
    /// How long it takes a student.
    pub minutes: u32,
    /// The starter's verdict.
    pub starter: String,
    /// Where to read on: a page of the book and its section, `queue.html#the-end`.
    pub read: String,
    /// What to compare with the solution, after a pass.
    pub compare: String,
    /// What each run must do, and how often at the least.
    #[serde(default)]
    pub uses: Vec<Uses>,
    /// The runs, in which all must hold. The first that fails gives the verdict.
    pub run: Vec<Run>,
}

/// What the task says must be used.
#[derive(Clone, Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct Uses {
    /// `process`, `close`, or an act: `lock`, `unlock`, `put`, `get`, `claim`, `spawn`.
    pub what: String,
    /// How often, at the least.
    pub at_least: u64,
    /// What is said else.
    pub missing: String,
}

/// One run, or several with different seeds.
#[derive(Clone, Deserialize, Debug)]
#[serde(deny_unknown_fields, default)]
pub struct Run {
    /// The program's arguments.
    pub args: Vec<String>,
    /// So many more runs, with the chaos of the seeds from 1 on.
    pub seeds: u64,
    /// The task's own lines of the output.
    pub expect: String,
    /// They may come in any order.
    pub any_order: bool,
    /// The program fails: an exit code that is not 0.
    pub fails: bool,
    /// What must be in standard error.
    pub stderr: Vec<String>,
    /// Processes that may crash, by name.
    pub deaths: Vec<String>,
    /// A process is held at a point until all others stand still.
    pub hold: Option<Point>,
    /// Or until another one is here ...
    pub until: Option<Point>,
    /// ... or a line is printed that begins like this.
    pub until_line: Option<String>,
    /// These are held at their points from the start, and go on when the first one is at its own: what
    /// they do then, they do meanwhile.
    pub meanwhile: Vec<Point>,
    /// What it means that this never happened; without it, the process then goes on, too.
    pub missing: String,
    /// While the process is held, no process of the program may be a zombie.
    pub no_zombie: bool,
    /// A process is killed at a point.
    pub kill: Option<Point>,
    /// No more than so often ...
    pub at_most: Vec<AtMost>,
    /// What went wrong, in a sentence, if the output is another.
    pub why: String,
    /// A process that waits with limits, again and again, for so many of the grader's looks, stands
    /// still as well.
    pub patience: u32,
    /// Of processor time, which all its processes may take together.
    pub seconds: u64,
}

impl Default for Run {
    fn default() -> Run {
        Run {
            args: Vec::new(),
            seeds: 0,
            expect: String::new(),
            any_order: false,
            fails: false,
            stderr: Vec::new(),
            deaths: Vec::new(),
            hold: None,
            until: None,
            until_line: None,
            meanwhile: Vec::new(),
            missing: String::new(),
            no_zombie: false,
            kill: None,
            at_most: Vec::new(),
            why: String::new(),
            patience: 500,
            seconds: 30,
        }
    }
}

/// A limit to what may be done.
#[derive(Clone, Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct AtMost {
    /// As in [`Uses`].
    pub what: String,
    /// How often.
    pub times: u64,
    /// What is said else.
    pub why: String,
}

/// A point of a process, before or after what it does.
#[derive(Clone, Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct Point {
    /// The process's name.
    pub process: String,
    /// Before this act ...
    pub before: Option<String>,
    /// ... or after it.
    pub after: Option<String>,
    /// The how manieth.
    #[serde(default = "first")]
    pub nth: u32,
}

fn first() -> u32 {
    1
}

impl Course {
    /// All exercises below this folder, the workspace's.
    ///
    /// # Errors
    /// A folder that is no exercise: which, and what it lacks.
    pub fn load(root: &Path) -> Result<Course> {
        let mut exercises = Vec::new();
        for chapter in CHAPTERS {
            let Ok(folders) = fs::read_dir(root.join(chapter).join("exercises")) else {
                continue;
            };
            for folder in folders.map(|it| Ok::<_, std::io::Error>(it?.path())) {
                let folder = folder?;
                if folder.is_dir() {
                    exercises.push(Exercise::load(folder)?);
                }
            }
        }
        let key = |number: &str| -> Vec<u32> {
            let parts = number.split('.');
            parts.map(|part| part.parse().unwrap_or(u32::MAX)).collect()
        };
        exercises.sort_by_key(|it| key(&it.spec.number));
        Ok(Course { exercises })
    }

    /// The exercise with this number.
    ///
    /// # Errors
    /// There is none; says which there are.
    pub fn exercise(&self, number: &str) -> Result<&Exercise> {
        let wanted = number.replace('-', ".");
        let found = self.exercises.iter().find(|it| it.spec.number == wanted);
        found.with_context(|| {
            let numbers = self.exercises.iter().map(|it| it.spec.number.as_str());
            let numbers: Vec<_> = numbers.collect();
            format!(
                "there is no exercise {number}; there are {}",
                numbers.join(", ")
            )
        })
    }
}

impl Spec {
    /// What its program on the desk is called, without `.rs`: `2-1`.
    pub fn program(&self) -> String {
        self.number.replace('.', "-")
    }
}

impl Exercise {
    fn load(folder: PathBuf) -> Result<Exercise> {
        let file = folder.join("exercise.toml");
        let spec = read(&file)?;
        let spec = toml::from_str(&spec).with_context(|| format!("in {}", file.display()))?;
        Ok(Exercise { folder, spec })
    }

    /// One of its files.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn text(&self, name: &str) -> Result<String> {
        read(&self.folder.join(name))
    }

    /// The hints, the vaguest first.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn hints(&self) -> Result<Vec<String>> {
        let text = self.text("hints.md")?;
        Ok(text
            .split("\n---\n")
            .map(|hint| hint.trim().to_owned())
            .collect())
    }

    /// Wrong ways: name, verdict, and the program.
    ///
    /// # Errors
    /// A file that is none.
    pub fn wrong_ways(&self) -> Result<Vec<WrongWay>> {
        let mut ways = Vec::new();
        for entry in fs::read_dir(self.folder.join("wrong")).context("no wrong ways")? {
            let path = entry?.path();
            let name = path
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            ways.push(
                self.wrong_way(name)
                    .with_context(|| path.display().to_string())?,
            );
        }
        ways.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(ways)
    }

    fn wrong_way(&self, name: String) -> Result<WrongWay> {
        let text = self.text(&format!("wrong/{name}.rs"))?;
        let (first, part) = text.split_once('\n').context("it is empty")?;
        let first = first
            .strip_prefix("// ")
            .context("its first line is no comment")?;
        let (verdict, _) = first
            .split_once(": ")
            .context("its first line names no verdict")?;
        let (begin, end) = (part.find(BEGIN), part.find(END));
        ensure!(
            begin.is_none() && end.is_none(),
            "it is the student's part alone, without markers"
        );
        let starter = self.text("starter.rs")?;
        let span = part_of(&starter)?;
        let program = [&starter[..span.start], part, &starter[span.end..]].concat();
        Ok(WrongWay {
            name,
            verdict: verdict.to_owned(),
            program,
        })
    }
}

/// A way in which students go wrong.
#[derive(Debug)]
pub struct WrongWay {
    /// Its file's name.
    pub name: String,
    /// The verdict that it must get.
    pub verdict: String,
    /// The starter with this part.
    pub program: String,
}

/// Where the student's part lies in a program.
///
/// # Errors
/// A marker is missing.
pub fn part_of(program: &str) -> Result<Range<usize>> {
    let line_after = |marker: &str| {
        let at = program.find(marker)? + marker.len();
        Some(at + program[at..].find('\n')? + 1)
    };
    let (Some(begin), Some(end)) = (line_after(BEGIN), program.find(END)) else {
        bail!("the lines {BEGIN:?} and {END:?} are to be there");
    };
    let end = program[..end].rfind('\n').map_or(0, |at| at + 1);
    ensure!(begin <= end, "{END:?} is before {BEGIN:?}");
    Ok(begin..end)
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}
