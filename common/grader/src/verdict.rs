//! What is said to the student.

use std::fmt;

use serde::{Serialize, Serializer};

/// Which mistake it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Verdict {
    /// It is right.
    Pass,
    /// It does not build.
    Compile,
    /// Another output, status or account.
    Wrong,
    /// In some of its runs.
    Flaky {
        /// So many went wrong ...
        failed: u64,
        /// ... of so many.
        runs: u64,
    },
    /// The waits form a cycle.
    Deadlock,
    /// All wait, and not for each other.
    Stuck,
    /// A process burns the processor where it could only wait.
    Busy,
    /// A process has crashed, or went beyond all bounds.
    Crash,
    /// A process has outlived the program.
    Orphan,
    /// A zombie, or a file left behind.
    Leak,
    /// Two locks, taken in both orders.
    Order,
    /// It does without what the task says must be used.
    Missing,
    /// It goes on and on.
    Slow,
}

impl Verdict {
    /// Its one word.
    pub fn word(self) -> &'static str {
        match self {
            Verdict::Pass => "PASS",
            Verdict::Compile => "COMPILE",
            Verdict::Wrong => "WRONG",
            Verdict::Flaky { .. } => "FLAKY",
            Verdict::Deadlock => "DEADLOCK",
            Verdict::Stuck => "STUCK",
            Verdict::Busy => "BUSY",
            Verdict::Crash => "CRASH",
            Verdict::Orphan => "ORPHAN",
            Verdict::Leak => "LEAK",
            Verdict::Order => "ORDER",
            Verdict::Missing => "MISSING",
            Verdict::Slow => "SLOW",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::Flaky { failed, runs } => write!(f, "FLAKY {failed} of {runs}"),
            _ => f.pad(self.word()),
        }
    }
}

impl Serialize for Verdict {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The verdict, and what it rests on.
#[derive(Clone, Serialize, Debug)]
pub struct Report {
    /// The exercise's number.
    pub exercise: String,
    /// Its title.
    pub title: String,
    /// Which mistake it is.
    pub verdict: Verdict,
    /// One sentence for the student.
    pub says: String,
    /// What was seen, line by line.
    pub evidence: Vec<String>,
    /// How to see it without the grader.
    pub by_hand: Option<String>,
    /// Where to read on.
    pub read: String,
    /// How often the program was run.
    pub runs: u64,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report {
            exercise,
            title,
            verdict,
            says,
            ..
        } = self;
        writeln!(f, "{verdict}  {exercise} {title}")?;
        writeln!(f, "{says}")?;
        if !self.evidence.is_empty() {
            writeln!(f)?;
        }
        for line in &self.evidence {
            writeln!(f, "    {line}")?;
        }
        writeln!(f)?;
        if let Some(command) = &self.by_hand {
            writeln!(f, "{command}")?;
        }
        match verdict {
            Verdict::Pass => writeln!(f, "The solution: cargo grade solution {exercise}"),
            _ => {
                let (page, section) = self.read.split_once('#').unwrap_or((&self.read, ""));
                let page = page.trim_end_matches(".html");
                let section = section.replace('-', " ");
                writeln!(f, "Read: book/src/{page}.md, the section {section:?}")?;
                writeln!(f, "A hint: cargo grade hint {exercise}")
            }
        }
    }
}
