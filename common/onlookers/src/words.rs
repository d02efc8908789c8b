//! A run in sentences, for who cannot see its picture.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use common::trace::{Act, Outcome};
use nix::sys::signal::Signal;

use crate::run::{Bar, Doing, End, Going, Moment, RESULTS, TASKS};
use crate::view::View;

/// Each thing that is shown, in the order in which they happened.
pub fn all(view: &View) -> Vec<String> {
    let run = view.run;
    let name = |process: usize| run.processes[process].name.as_str();
    let mut all: Vec<(Moment, String)> = Vec::new();
    let come = view.cut.iter().filter(|arrow| view.shows(arrow.to.at));
    for arrow in view.arrows.iter().chain(come) {
        let (from, to) = (name(arrow.from.process), name(arrow.to.process));
        match arrow.what {
            Going::Spawn => all.push((arrow.from.at, format!("{from} starts {to}."))),
            // A pool's tasks have sentences of their own.
            Going::Item(object) if ![TASKS, RESULTS].contains(&run.kind(object)) => {
                let queue = run.name(object);
                let text = format!("{to} gets what {from} has put into the {queue}.");
                all.push((arrow.to.at, text));
            }
            Going::Item(_) | Going::Lock(_) | Going::End => {}
        }
    }
    for close in &view.closes {
        let (who, queue) = (name(close.process), run.name(close.object));
        all.push((close.at, format!("{who} closes the {queue}.")));
    }
    for bar in &view.bars {
        let who = name(bar.process);
        let mut say = |at: Moment, text: String| {
            if view.shows(at) {
                all.push((at, text));
            }
        };
        match bar.doing {
            Doing::Hold {
                object,
                found,
                left,
                given,
            } => {
                let lock = run.name(object);
                let finds = found.map_or(String::new(), |found| format!(" and finds {found}"));
                say(bar.from, format!("{who} takes the {lock}{finds}."));
                match left {
                    Some(left) => say(bar.to, format!("{who} leaves {left} in the {lock}.")),
                    None if given => say(bar.to, format!("{who} lets the {lock} go.")),
                    None => {}
                }
            }
            Doing::Task(number) => say(bar.from, format!("{who} takes task {number}.")),
            Doing::Act {
                act: Act::Call,
                item,
                ..
            } => {
                let task = item.map_or("a task".into(), |item| format!("task {item}"));
                say(bar.from, format!("{who} is told of {task}."));
            }
            Doing::Act {
                act,
                outcome,
                ref place,
                ..
            } => {
                let line = place
                    .as_ref()
                    .map_or(String::new(), |line| format!(", at {line}"));
                let text = format!("{who} waits for {}{line}.", awaited(view, bar));
                say(bar.from, text);
                if outcome == Some(Outcome::TimedOut) && act != Act::Join {
                    say(bar.to, format!("{who} waits no longer: its time is up."));
                }
            }
        }
    }
    for &place in &view.processes {
        let process = &run.processes[place];
        let Some((at, end)) = process.end.filter(|(at, _)| view.shows(*at)) else {
            continue;
        };
        let task = view.bars.iter().find_map(|bar| match bar.doing {
            Doing::Task(number) if bar.process == place && bar.to == at => Some(number),
            _ => None,
        });
        let within = task.map_or(String::new(), |task| {
            format!(", in the middle of task {task}")
        });
        let how = match end {
            End::Exit(0) => "ends".into(),
            End::Exit(code) => format!("ends with exit code {code}"),
            End::Status(status) if status.success() => "ends".into(),
            End::Status(status) => format!("dies: {}", self::status(status)),
            End::Exec => "becomes another program".into(),
        };
        all.push((at, format!("{} {how}{within}.", process.name)));
    }
    all.sort_by_key(|(at, _)| *at);
    all.into_iter().map(|(_, text)| text).collect()
}

/// What a bar that is a wait waits for.
fn awaited(view: &View, bar: &Bar) -> String {
    let Doing::Act {
        act, object, upon, ..
    } = bar.doing
    else {
        return String::new();
    };
    let run = view.run;
    let object_name = object.map_or("object", |object| run.name(object));
    match act {
        Act::Lock => {
            let holder = object.and_then(|object| run.holder(object, bar.from));
            let holder = holder.map(|holder| &run.processes[holder].name);
            let holds = holder.map_or(String::new(), |name| format!(", which {name} holds"));
            format!("the {object_name}{holds}")
        }
        Act::Put => format!("room in the {object_name}"),
        Act::Get => format!("an item in the {object_name}"),
        Act::Join => {
            let is_its_end = |arrow: &&crate::run::Arrow| {
                arrow.what == Going::End && arrow.to.process == bar.process && arrow.to.at == bar.to
            };
            let awaited = run.arrows.iter().find(is_its_end);
            let ended = awaited.map(|arrow| arrow.from.process).or(upon);
            ended.map_or("the end of a child".into(), |child| {
                format!("the end of {}", run.processes[child].name)
            })
        }
        _ => format!("the {object_name}"),
    }
}

/// How a process has ended that was not in order.
pub fn how(end: End) -> String {
    match end {
        End::Exit(code) => format!("exit code {code}"),
        End::Status(status) => self::status(status),
        End::Exec => String::new(),
    }
}

/// How a process has ended: `killed by SIGKILL`, `exit code 1`.
pub fn status(status: ExitStatus) -> String {
    match (status.signal(), status.code()) {
        (Some(signal), _) => match Signal::try_from(signal) {
            Ok(signal) => format!("killed by {}", signal.as_str()),
            Err(_) => format!("killed by signal {signal}"),
        },
        (None, code) => format!("exit code {}", code.unwrap_or(0)),
    }
}
