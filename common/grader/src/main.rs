//! `cargo grade`: exercises, and what is wrong with their solutions.

use std::fs;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, Parser, Subcommand};
use grader::build::Crates;
use grader::course::Course;
use grader::desk::Desk;
use grader::run::{Interrupted, Runner};
use grader::verdict::{Report, Verdict};
use grader::{class, judge, run, selfcheck};

/// Exercises, and a grader that says which mistake it is.
#[derive(Parser)]
#[command(bin_name = "cargo grade")]
struct Cli {
    #[command(subcommand)]
    command: Option<Cmd>,
    #[command(flatten)]
    grade: Grade,
    /// Another desk than `common/desk`: a folder with a `src/bin`
    #[arg(long, global = true, value_name = "DIR")]
    desk: Option<PathBuf>,
}

#[derive(Args)]
struct Grade {
    /// The exercise to judge, as in `cargo grade 2.1`; without it, the list
    number: Option<String>,
    /// Judge this file instead of the one on the desk
    #[arg(long, requires = "number")]
    file: Option<PathBuf>,
    /// Judge again whenever the file is saved
    #[arg(long, requires = "number")]
    watch: bool,
    /// Write the verdict as data, too
    #[arg(long, requires = "number", value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Cmd {
    /// Put an exercise on the desk, and print its task
    Start {
        /// Such as 2.1
        number: String,
    },
    /// The next of three hints
    Hint {
        /// Such as 2.1
        number: String,
    },
    /// The solution, once yours has passed
    Solution {
        /// Such as 2.1
        number: String,
        /// Also before that
        #[arg(long)]
        anyway: bool,
    },
    /// Put the starter there again; your program is kept beside it
    Reset {
        /// Such as 2.1
        number: String,
    },
    /// Judge everything on the desk
    All {
        /// Write the verdicts as data, too
        #[arg(long, value_name = "FILE")]
        json: Option<PathBuf>,
    },
    /// Judge a folder with a folder for each student
    Class {
        folder: PathBuf,
        /// Write the table as CSV, too
        #[arg(long, value_name = "FILE")]
        csv: Option<PathBuf>,
    },
    /// Write an archive of the course without its solutions
    Pack {
        /// Such as course.tar.gz
        file: PathBuf,
    },
    /// For who writes exercises: every program of the course gets its verdict
    Selfcheck {
        /// Of these exercises alone
        numbers: Vec<String>,
        /// How often each program is judged
        #[arg(long, default_value_t = 1)]
        times: u64,
        /// How often each solution is judged; as the others, if not said
        #[arg(long, value_name = "TIMES")]
        solutions: Option<u64>,
    },
    #[command(hide = true)]
    Inside {
        program: PathBuf,
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
}

fn main() -> ExitCode {
    common::end_on_broken_pipe();
    match grade() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) if error.is::<Interrupted>() => ExitCode::from(130),
        Err(error) => {
            eprintln!("cargo grade: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Whether all is well.
fn grade() -> Result<bool> {
    let cli = Cli::parse();
    if let Some(Cmd::Inside { program, args }) = &cli.command {
        return run::inside(program, args).map(|()| true);
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let root = root.canonicalize().context("where is the workspace?")?;
    let desk = cli.desk.unwrap_or_else(|| root.join("common/desk"));
    let course = Course::load(&root)?;
    let mut office = Office {
        desk: Desk::open(desk),
        course,
        root,
    };
    if let (Some(_), Some(number)) = (&cli.command, &cli.grade.number) {
        bail!(
            "{number:?} is in front of a command: write it behind, as in `cargo grade start 2.1`"
        );
    }
    match cli.command {
        None => match &cli.grade.number {
            None => office.list(),
            Some(number) => office.judge(number, &cli.grade),
        },
        Some(Cmd::Start { number }) => office.start(&number),
        Some(Cmd::Hint { number }) => office.hint(&number),
        Some(Cmd::Solution { number, anyway }) => office.solution(&number, anyway),
        Some(Cmd::Reset { number }) => office.reset(&number),
        Some(Cmd::All { json }) => office.all(json.as_deref()),
        Some(Cmd::Class { folder, csv }) => office.class(&folder, csv.as_deref()),
        Some(Cmd::Pack { file }) => office.pack(&file),
        Some(Cmd::Selfcheck {
            numbers,
            times,
            solutions,
        }) => office.selfcheck(&numbers, times, solutions.unwrap_or(times)),
        Some(Cmd::Inside { .. }) => unreachable!("that was the first thing"),
    }
}

struct Office {
    root: PathBuf,
    course: Course,
    desk: Desk,
}

impl Office {
    fn list(&self) -> Result<bool> {
        println!("       minutes  title");
        let mut next: Option<(&str, bool)> = None;
        for exercise in &self.course.exercises {
            let spec = &exercise.spec;
            let state = self.desk.state(exercise);
            // What lies on the desk comes first.
            let is_better = next.is_none_or(|(_, is_new)| is_new && !state.is_empty());
            if is_better && !self.desk.has_passed(exercise) {
                next = Some((spec.number.as_str(), state.is_empty()));
            }
            let state = match state.as_str() {
                "" | "PASS" => state,
                _ if self.desk.has_passed(exercise) => state + ", has passed before",
                _ => state,
            };
            let (number, minutes, title) = (&spec.number, spec.minutes, &spec.title);
            println!(
                "{}",
                format!("{number:5}  {minutes:7}  {title:42} {state}").trim_end()
            );
        }
        println!();
        match next {
            None => println!("All have passed."),
            Some((number, true)) => println!("Next: cargo grade start {number}"),
            Some((number, false)) => println!("Next: cargo grade {number}"),
        }
        Ok(true)
    }

    fn start(&self, number: &str) -> Result<bool> {
        let exercise = self.course.exercise(number)?;
        let file = self.desk.start(exercise)?;
        let number = &exercise.spec.number;
        println!("{}\n", exercise.text("task.md")?.trim());
        println!(
            "Open {}, and work between its two marks.",
            self.shown(&file)
        );
        println!(
            "Run it:   cargo run -p desk --bin {}",
            exercise.spec.program()
        );
        println!("Judge it: cargo grade {number}");
        Ok(true)
    }

    fn hint(&mut self, number: &str) -> Result<bool> {
        let exercise = self.course.exercise(number)?;
        let (at, hint) = self.desk.next_hint(exercise)?;
        let all = exercise.hints()?.len();
        println!("Hint {at} of {all}: {hint}");
        if at == all {
            println!(
                "\nThat is the last one. `cargo grade solution {number} --anyway` shows a solution."
            );
        }
        Ok(true)
    }

    fn solution(&self, number: &str, anyway: bool) -> Result<bool> {
        let exercise = self.course.exercise(number)?;
        let number = &exercise.spec.number;
        ensure!(
            anyway || self.desk.has_passed(exercise),
            "yours has not passed yet: try `cargo grade hint {number}`, or add `--anyway`"
        );
        let text = exercise.text("solution.rs");
        print!(
            "{}",
            text.context("this copy of the course has no solutions")?
        );
        Ok(true)
    }

    fn reset(&self, number: &str) -> Result<bool> {
        let (file, kept) = self.desk.reset(self.course.exercise(number)?)?;
        println!("{} is the starter again.", self.shown(&file));
        if let Some(kept) = kept {
            println!("What was there: {}", self.shown(&kept));
        }
        Ok(true)
    }

    fn judge(&mut self, number: &str, options: &Grade) -> Result<bool> {
        let exercise = self.course.exercise(number)?;
        let number = &exercise.spec.number;
        let file = options
            .file
            .clone()
            .unwrap_or_else(|| self.desk.file(exercise));
        let Ok(file) = file.canonicalize() else {
            match options.file {
                Some(_) => bail!("there is no {}", file.display()),
                None => bail!("it is not on the desk: begin with `cargo grade start {number}`"),
            }
        };
        ensure!(file.is_file(), "{} is no file", file.display());
        let (crates, runner) = self.prepare()?;
        loop {
            let saved = fs::metadata(&file)?.modified()?;
            let report = judge::judge_source(&runner, &crates, exercise, &file, &progress)?;
            clear_progress();
            print!("{report}");
            io::stdout().flush()?;
            if options.file.is_none() {
                self.desk.note(exercise, &report);
            }
            if let Some(json) = &options.json {
                write_json(json, std::slice::from_ref(&report))?;
            }
            if !options.watch {
                return Ok(report.verdict == Verdict::Pass);
            }
            println!(
                "\nWaits for {} to be saved; Ctrl-C ends it.",
                self.shown(&file)
            );
            let now = || {
                fs::metadata(&file)
                    .and_then(|it| it.modified())
                    .unwrap_or(saved)
            };
            while now() == saved {
                runner.look_for_interrupts()?;
                sleep(Duration::from_millis(100));
            }
            println!();
        }
    }

    fn all(&mut self, json: Option<&Path>) -> Result<bool> {
        let (crates, runner) = self.prepare()?;
        let mut reports = Vec::new();
        for exercise in &self.course.exercises {
            let file = self.desk.file(exercise);
            if !file.exists() {
                continue;
            }
            let say = |what: &str| progress(&format!("{}: {what}", exercise.spec.number));
            let report = judge::judge_source(&runner, &crates, exercise, &file, &say)?;
            clear_progress();
            println!(
                "{:5}  {:42}  {}",
                report.exercise, report.title, report.verdict
            );
            self.desk.note(exercise, &report);
            reports.push(report);
        }
        ensure!(
            !reports.is_empty(),
            "nothing is on the desk: begin with `cargo grade start 1.1`"
        );
        if let Some(json) = json {
            write_json(json, &reports)?;
        }
        Ok(reports.iter().all(|it| it.verdict == Verdict::Pass))
    }

    fn class(&self, folder: &Path, csv: Option<&Path>) -> Result<bool> {
        let (crates, runner) = self.prepare()?;
        let students = class::judge_all(&runner, &crates, &self.course, folder, &progress)?;
        clear_progress();
        class::print_table(&self.course, &students, &mut io::stdout().lock())?;
        if let Some(csv) = csv {
            let mut text = Vec::new();
            class::write_csv(&self.course, &students, &mut text)?;
            fs::write(csv, text).with_context(|| format!("cannot write {}", csv.display()))?;
        }
        Ok(true)
    }

    fn pack(&self, file: &Path) -> Result<bool> {
        let file = std::path::absolute(file)?;
        let status = Command::new("git")
            .args(["archive", "--format=tar.gz", "--prefix=course/", "--output"])
            .arg(&file)
            .args(["HEAD", ".", ":(exclude)*/exercises/*/solution.rs"])
            .arg(":(exclude)*/exercises/*/wrong/*")
            .current_dir(&self.root)
            .status()
            .context("cannot run git")?;
        ensure!(status.success(), "git could not write the archive");
        println!(
            "{} has all that is committed, but no solution.",
            file.display()
        );
        Ok(true)
    }

    fn selfcheck(&self, numbers: &[String], times: u64, solutions: u64) -> Result<bool> {
        let all = self
            .course
            .exercises
            .iter()
            .map(|it| it.spec.number.clone());
        let numbers = if numbers.is_empty() {
            all.collect()
        } else {
            numbers.to_vec()
        };
        let (crates, runner) = self.prepare()?;
        let mut is_right = true;
        println!("      program                     stated    got");
        for number in numbers {
            let exercise = self.course.exercise(&number)?;
            for row in selfcheck::check(&runner, &crates, exercise, (times, solutions), &progress)?
            {
                clear_progress();
                let got = row
                    .got
                    .iter()
                    .map(|(verdict, times)| format!("{verdict} {times}"));
                let got = got.collect::<Vec<_>>().join(", ");
                println!(
                    "{:5} {:26}  {:8}  {got}",
                    row.exercise, row.program, row.stated
                );
                if let Some(other) = &row.other {
                    is_right = false;
                    println!("\n{other}");
                }
            }
        }
        Ok(is_right)
    }

    fn prepare(&self) -> Result<(Crates, Runner)> {
        progress("builds what it needs");
        let runner = Runner::new(std::env::current_exe()?)?;
        let crates = Crates::build(&self.root)?;
        clear_progress();
        Ok((crates, runner))
    }

    fn shown<'a>(&self, path: &'a Path) -> std::path::Display<'a> {
        path.strip_prefix(&self.root).unwrap_or(path).display()
    }
}

/// On a terminal, one line that is overwritten.
fn progress(what: &str) {
    if io::stderr().is_terminal() {
        eprint!("\r\x1b[K{what} ...");
    }
}

fn clear_progress() {
    if io::stderr().is_terminal() {
        eprint!("\r\x1b[K");
    }
}

fn write_json(file: &Path, reports: &[Report]) -> Result<()> {
    let text = serde_json::to_string_pretty(reports)? + "\n";
    fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}
