//! From what was seen to a verdict.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;

use anyhow::Result;
use nix::sys::signal::Signal;

use crate::build::Crates;
use crate::course::{Exercise, Point, Run, Spec};
use crate::order;
use crate::run::{Runner, Seen, Trouble};
use crate::story::Story;
use crate::verdict::{Report, Verdict};

/// Lines of others' text that are shown.
const SHOWN: usize = 12;
/// How often a seed that has shown something is tried again.
const AGAIN: u64 = 10;
/// What a program ends with that panics.
const PANIC: i32 = 101;

/// What is wrong in one run.
#[derive(Clone, Debug)]
struct Finding {
    verdict: Verdict,
    says: String,
    evidence: Vec<String>,
}

/// Builds a program and judges it. `progress` is told what is done meanwhile.
///
/// # Errors
/// The system's, not the student's.
pub fn judge_source(
    runner: &Runner,
    crates: &Crates,
    exercise: &Exercise,
    source: &Path,
    progress: &dyn Fn(&str),
) -> Result<Report> {
    progress("builds it");
    let program = runner.scratch().join("program");
    match crates.compile(source, &program)? {
        Ok(()) => judge(runner, &exercise.spec, &program, progress),
        Err(message) => Ok(not_built(&exercise.spec, &message)),
    }
}

/// What is said of a program that does not build, with the compiler's message.
pub fn not_built(spec: &Spec, message: &str) -> Report {
    let finding = Finding::new(Verdict::Compile, "It does not build. The compiler says:");
    let finding = finding.with(some_lines(message, 4 * SHOWN));
    report(spec, 0, Some(finding), None)
}

/// Judges a program that is built.
///
/// # Errors
/// As above.
pub fn judge(
    runner: &Runner,
    spec: &Spec,
    program: &Path,
    progress: &dyn Fn(&str),
) -> Result<Report> {
    let total: u64 = spec.run.iter().map(|run| 1 + run.seeds).sum();
    let mut runs = 0;
    for run in &spec.run {
        let mut wrong: Vec<(Option<u64>, Finding)> = Vec::new();
        for seed in std::iter::once(None).chain((1..=run.seeds).map(Some)) {
            runs += 1;
            progress(&format!("run {runs} of {total}"));
            let seen = runner.run(program, run, seed)?;
            match finding(spec, run, &seen) {
                Some(finding) if finding.verdict == Verdict::Wrong => {
                    wrong.push((seed, finding.told(run, &seen)));
                }
                Some(finding) => {
                    let by_hand = by_hand(spec, run, seed);
                    let finding = finding.told(run, &seen);
                    return Ok(report(spec, runs, Some(finding), by_hand));
                }
                None => {}
            }
        }
        let Some((seed, mut finding)) = wrong.first().cloned() else {
            continue;
        };
        let (failed, of) = (wrong.len() as u64, 1 + run.seeds);
        if failed < of {
            finding.verdict = Verdict::Flaky { failed, runs: of };
            let mut again = 0;
            for number in 1..=AGAIN {
                progress(&format!("once more with this seed, {number} of {AGAIN}"));
                let seen = runner.run(program, run, seed)?;
                again += u64::from(self::finding(spec, run, &seen).is_some());
            }
            let with = seed.map_or_else(String::new, |seed| format!(" with MP_CHAOS={seed}"));
            finding.evidence.push(format!(
                "Run again{with}, it came {again} times of {AGAIN}."
            ));
        }
        let by_hand = by_hand(spec, run, seed);
        return Ok(report(spec, runs, Some(finding), by_hand));
    }
    Ok(report(spec, runs, None, None))
}

fn report(spec: &Spec, runs: u64, finding: Option<Finding>, by_hand: Option<String>) -> Report {
    let finding = finding.unwrap_or_else(|| {
        let seeds: u64 = spec.run.iter().map(|run| run.seeds).sum();
        let seeds = match seeds {
            0 => String::new(),
            _ => format!(", {seeds} of them with delays by chance"),
        };
        Finding {
            verdict: Verdict::Pass,
            says: format!("Right in {runs} runs{seeds}."),
            evidence: vec![format!("Compare with the solution: {}", spec.compare)],
        }
    });
    Report {
        exercise: spec.number.clone(),
        title: spec.title.clone(),
        verdict: finding.verdict,
        says: finding.says,
        evidence: finding.evidence,
        by_hand,
        read: spec.read.clone(),
        runs,
    }
}

impl Finding {
    fn new(verdict: Verdict, says: impl Into<String>) -> Finding {
        Finding {
            verdict,
            says: says.into(),
            evidence: Vec::new(),
        }
    }

    fn with(mut self, evidence: impl IntoIterator<Item = String>) -> Finding {
        self.evidence.extend(evidence);
        self
    }

    /// With what was done to the program in this run.
    fn told(mut self, run: &Run, seen: &Seen) -> Finding {
        let said = |point: &Point, what: &str| {
            let Point {
                process,
                before,
                after,
                nth,
            } = point;
            let side = if before.is_some() { "before" } else { "after" };
            let act = before.iter().chain(after).next().map_or("", String::as_str);
            format!("{process:?} was {what} {side} its {act} number {nth}")
        };
        if let Some(hold) = run.hold.as_ref().filter(|_| seen.was_held) {
            let until = match (&run.until, &run.until_line) {
                (Some(until), _) => format!("until {:?} was at its own point", until.process),
                (_, Some(line)) => format!("until {line:?} was printed"),
                _ => "until all others stood still".to_owned(),
            };
            self.evidence
                .push(format!("In this run {}, {until}.", said(hold, "held")));
        }
        if let Some(kill) = run.kill.as_ref().filter(|_| seen.was_killed) {
            self.evidence
                .push(format!("In this run {}.", said(kill, "killed")));
        }
        self
    }
}

/// How to see it without the grader, if one can.
fn by_hand(spec: &Spec, run: &Run, seed: Option<u64>) -> Option<String> {
    let (seed, perhaps) = match (seed, &run.hold, &run.kill) {
        (_, _, Some(_)) => return None,
        (Some(seed), ..) => (format!("MP_CHAOS={seed} "), ""),
        (None, Some(_), _) => (
            "MP_CHAOS=1 ".to_owned(),
            ", perhaps, with luck or a sleep there",
        ),
        _ => (String::new(), ""),
    };
    let file = spec.program();
    let args = match run.args.is_empty() {
        true => String::new(),
        false => format!(" -- {}", run.args.join(" ")),
    };
    Some(format!(
        "By hand{perhaps}: {seed}cargo run -p desk --bin {file}{args}"
    ))
}

fn finding(spec: &Spec, run: &Run, seen: &Seen) -> Option<Finding> {
    let story = Story::of(seen.events.iter().cloned());
    if let Some(finding) = seen.trouble.as_ref().and_then(|it| trouble(run, it)) {
        return Some(finding);
    }
    if let Some(finding) = crash(run, seen, &story) {
        return Some(finding);
    }
    if let Some(Trouble::Orphans(names)) = &seen.trouble {
        let says = "The program has ended, and left processes behind that go on.";
        return Some(Finding::new(Verdict::Orphan, says).with(names.iter().cloned()));
    }
    if let Some(finding) = wrong(run, seen, &story) {
        return Some(finding);
    }
    if let Some(Trouble::Files(files)) = &seen.trouble {
        let says = "The program has left files behind.";
        return Some(Finding::new(Verdict::Leak, says).with(files.iter().cloned()));
    }
    if let Some(uses) = spec
        .uses
        .iter()
        .find(|it| story.times(&it.what) < it.at_least)
    {
        let (what, times) = (&uses.what, story.times(&uses.what));
        let seen = format!("Seen in the whole run: {what}, {times} times.");
        return Some(Finding::new(Verdict::Missing, &uses.missing).with([seen]));
    }
    let (one, other, locks) = order::opposite(seen.events.iter().cloned())?;
    let name = |pid| story.name_of(pid).unwrap_or_else(|| format!("pid {pid}"));
    let says = "It did not hang this time. But two processes take the same two locks in opposite \
                orders: if each has its first, both wait for ever.";
    let [first, second] = locks;
    Some(Finding::new(Verdict::Order, says).with([
        format!("{} held {first} and waited for {second};", name(one)),
        format!("{} held {second} and waited for {first}.", name(other)),
    ]))
}

fn trouble(run: &Run, trouble: &Trouble) -> Option<Finding> {
    Some(match trouble {
        Trouble::Standstill {
            is_circle: true,
            chain,
        } => {
            let says = "Its processes wait for each other, and nobody can go on.";
            Finding::new(Verdict::Deadlock, says)
                .with(chain.iter().cloned())
                .with(noticed())
        }
        Trouble::Standstill {
            is_circle: false,
            chain,
        } => {
            let says = "All living processes wait, for what none of them will do.";
            Finding::new(Verdict::Stuck, says)
                .with(chain.iter().cloned())
                .with(noticed())
        }
        Trouble::Polling { chain } => {
            let says = "It looks again and again, with a limit each time, and nothing will come.";
            Finding::new(Verdict::Stuck, says).with(chain.iter().cloned())
        }
        Trouble::Busy { who, held } => {
            let says = format!("{who} burns the processor where it could only wait.");
            let held = held
                .iter()
                .map(|held| format!("Meanwhile {held} was held."));
            Finding::new(Verdict::Busy, says).with(held)
        }
        Trouble::Excess(what) => Finding::new(Verdict::Crash, what),
        Trouble::NotTogether => Finding::new(Verdict::Missing, &run.missing),
        Trouble::Zombie(who) => {
            let says = "A process has ended, and nobody has waited for it: it is a zombie.";
            Finding::new(Verdict::Leak, says).with([who.clone()])
        }
        Trouble::Slow(moved) => {
            let says = "It goes on and on, and was ended.";
            Finding::new(Verdict::Slow, says).with([format!("So far: {moved}.")])
        }
        Trouble::Orphans(_) | Trouble::Files(_) => return None,
    })
}

fn noticed() -> [String; 1] {
    [
        "By hand, the library may notice it, and one call is an error. Here that does not count."
            .into(),
    ]
}

fn crash(run: &Run, seen: &Seen, story: &Story) -> Option<Finding> {
    let is_crash = |status: &ExitStatus| {
        use Signal::*;
        let signal = status.signal().and_then(|it| Signal::try_from(it).ok());
        status.code() == Some(PANIC)
            || matches!(
                signal,
                Some(SIGABRT | SIGSEGV | SIGBUS | SIGILL | SIGFPE | SIGTRAP)
            )
    };
    let is_allowed = |pid: u32| {
        let name = story.plain_name(pid).unwrap_or_default();
        let kill = run.kill.as_ref().is_some_and(|kill| kill.process == name);
        kill || run.deaths.iter().any(|it| it == name)
    };
    let child = story
        .failures
        .iter()
        .find(|(pid, it)| is_crash(it) && !is_allowed(*pid));
    let (who, status) = match child {
        Some((pid, status)) => (story.name_of(*pid)?, *status),
        None => (
            "The program's first process".to_owned(),
            seen.status.filter(is_crash)?,
        ),
    };
    let how = match status.code() {
        Some(_) => "has panicked".to_owned(),
        None => format!("has crashed: {status}"),
    };
    let message = seen
        .stderr
        .lines()
        .skip_while(|line| !line.contains("panicked at"));
    let message = message
        .filter(|line| !line.contains("RUST_BACKTRACE"))
        .take(3);
    Some(Finding::new(Verdict::Crash, format!("{who} {how}.")).with(message.map(str::to_owned)))
}

fn wrong(run: &Run, seen: &Seen, story: &Story) -> Option<Finding> {
    let why = |else_: String| match run.why.is_empty() {
        true => else_,
        false => run.why.clone(),
    };
    if let Some(evidence) = difference(run, &seen.stdout) {
        let says = why("The output is not what the task asks for.".to_owned());
        let complaints = some_lines(&seen.stderr, 3);
        return Some(
            Finding::new(Verdict::Wrong, says)
                .with(evidence)
                .with(complaints),
        );
    }
    let status = seen.status?;
    if status.success() == run.fails {
        let says = why(match run.fails {
            true => "Something has failed in this run, and yet the program says success.".into(),
            false => "All is printed, and yet the program has failed.".to_owned(),
        });
        let evidence = std::iter::once(format!("It has ended with {status}."));
        let complaints = some_lines(&seen.stderr, SHOWN);
        return Some(
            Finding::new(Verdict::Wrong, says)
                .with(evidence)
                .with(complaints),
        );
    }
    if let Some(text) = run
        .stderr
        .iter()
        .find(|it| !seen.stderr.contains(it.as_str()))
    {
        let says = why("It does not say what has gone wrong.".to_owned());
        let evidence = [format!("Standard error has no {text:?}; it has:")];
        let complaints = some_lines(&seen.stderr, SHOWN);
        return Some(
            Finding::new(Verdict::Wrong, says)
                .with(evidence)
                .with(complaints),
        );
    }
    let too_often = run
        .at_most
        .iter()
        .find(|it| story.times(&it.what) > it.times)?;
    let seen = format!("{}: {} times", too_often.what, story.times(&too_often.what));
    Some(Finding::new(Verdict::Wrong, &too_often.why).with([seen]))
}

/// The first of the task's own lines that is another. Other lines, which begin in another way up to
/// the first `:` or digit, are the student's.
fn difference(run: &Run, stdout: &str) -> Option<Vec<String>> {
    let expected: Vec<&str> = run.expect.lines().collect();
    let beginnings = expected
        .iter()
        .map(|it| it.split(|c: char| c == ':' || c.is_ascii_digit()).next());
    let beginnings: Vec<&str> = beginnings.map(Option::unwrap_or_default).collect();
    let is_own = |line: &&str| beginnings.iter().any(|it| line.starts_with(it));
    let seen: Vec<&str> = stdout.lines().filter(is_own).collect();
    if run.any_order {
        let mut counts: BTreeMap<&str, i64> = BTreeMap::new();
        expected
            .iter()
            .for_each(|line| *counts.entry(line).or_default() += 1);
        seen.iter()
            .for_each(|line| *counts.entry(line).or_default() -= 1);
        let lines = counts.into_iter().filter(|(_, count)| *count != 0);
        let lines: Vec<String> = lines
            .map(|(line, count)| match count > 0 {
                true => format!("missing: {line}"),
                false => format!("too much: {line}"),
            })
            .take(SHOWN)
            .collect();
        return (!lines.is_empty()).then_some(lines);
    }
    let nothing = "(nothing more)";
    let length = expected.len().max(seen.len());
    let line = |lines: &[&str], at: usize| lines.get(at).copied().unwrap_or(nothing).to_owned();
    let at = (0..length).find(|&at| expected.get(at) != seen.get(at))?;
    Some(vec![
        format!("expected: {}", line(&expected, at)),
        format!("seen:     {}", line(&seen, at)),
    ])
}

fn some_lines(text: &str, most: usize) -> Vec<String> {
    let mut lines: Vec<String> = text.lines().take(most).map(str::to_owned).collect();
    if text.lines().count() > most {
        lines.push("...".to_owned());
    }
    lines
}
