//! A run as Chrome trace JSON, which [Perfetto](https://ui.perfetto.dev) opens as it is.
//!
//! Each process has a track for each of its threads, with its life and what it does, and one for
//! each lock that it has held, since locks need not be given back in the order in which they were
//! taken. The format: slices (`X`) that nest within their track, flows (`s` and `f`) from slice to
//! slice, counters (`C`), instants (`i`) and names (`M`); times are in microseconds.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::iter::{once, repeat};
use std::time::Duration;

use common::trace::{ObjectId, Outcome};
use serde_json::{Value, json};

use crate::run::{Arrow, Bar, Doing, Going, Moment, Point, Run};
use crate::words;

/// The whole file.
pub fn trace(run: &Run) -> String {
    let mut writer = Writer {
        run,
        events: Vec::new(),
        holders: BTreeMap::new(),
    };
    writer.lives();
    for bar in &run.bars {
        writer.bar(bar);
    }
    for service in &run.services {
        let pid = run.processes[service.process].pid;
        let name = format!("serves the {}", run.name(service.object));
        writer.instant(pid, pid, service.at, &name, "t");
    }
    for close in &run.closes {
        let pid = run.processes[close.process].pid;
        let name = format!("closes the {}", run.name(close.object));
        writer.instant(pid, pid, close.at, &name, "t");
    }
    for (arrow, id) in run.arrows.iter().zip(1..) {
        writer.flow(arrow, id);
    }
    writer.counters();
    writer.names();
    // The longer of two slices that begin at once is the outer one. Names have no time.
    writer
        .events
        .sort_by_key(|event| (event.at, Reverse(event.long)));
    let mut file = String::from("{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n");
    for (event, first) in writer
        .events
        .into_iter()
        .zip(once(true).chain(repeat(false)))
    {
        file += if first { "" } else { ",\n" };
        file += &event.json;
    }
    file + "\n]}\n"
}

/// Written at once: as a [`Value`] it would take ten times the memory.
struct Event {
    at: Duration,
    long: Duration,
    json: String,
}

struct Writer<'a> {
    run: &'a Run,
    events: Vec<Event>,
    /// The tracks of the locks, by process and lock.
    holders: BTreeMap<(usize, ObjectId), u32>,
}

/// Beyond all threads' ids.
const FIRST_LOCK: u32 = 1 << 23;

fn microseconds(time: Duration) -> f64 {
    time.as_nanos() as f64 / 1000.0
}

/// A time at which the slice is there in which an arrow begins or ends: not its very end.
fn within(point: Point) -> Duration {
    let before = point.at.time.saturating_sub(Duration::from_nanos(1));
    before.max(point.since.time)
}

impl Writer<'_> {
    fn event(&mut self, at: Duration, long: Duration, json: &Value) {
        let json = json.to_string();
        self.events.push(Event { at, long, json });
    }

    fn slice(&mut self, pid: u32, tid: u32, from: Moment, to: Moment, name: &str, args: Value) {
        let (from, to) = (from.time, to.time.max(from.time));
        let event = json!({
            "ph": "X", "pid": pid, "tid": tid, "name": name, "args": args,
            "ts": microseconds(from), "dur": microseconds(to - from),
        });
        self.event(from, to - from, &event);
    }

    fn instant(&mut self, pid: u32, tid: u32, at: Moment, name: &str, scope: &str) {
        let ts = microseconds(at.time);
        let event =
            json!({ "ph": "i", "pid": pid, "tid": tid, "name": name, "ts": ts, "s": scope });
        self.event(at.time, Duration::ZERO, &event);
    }

    fn lives(&mut self) {
        let Some(last) = self.run.last else { return };
        for process in &self.run.processes {
            let (pid, end) = (process.pid, process.end);
            let to = end.map_or(last, |(at, _)| at);
            self.slice(pid, pid, process.born, to, &process.name, json!({}));
            if let Some((at, end)) = end.filter(|(_, end)| !end.is_good()) {
                self.instant(pid, pid, at, &words::how(end), "p");
            }
        }
    }

    fn bar(&mut self, bar: &Bar) {
        let pid = self.run.processes[bar.process].pid;
        let object = bar.object().map(|object| self.run.name(object));
        let (tid, name, args) = match bar.doing {
            Doing::Act {
                act,
                item,
                outcome,
                waits,
                ref place,
                ..
            } => {
                let name = format!("{} {}", act.name(), object.unwrap_or_default());
                let outcome = outcome.map_or("never done", |outcome| match outcome {
                    Outcome::Done => "done",
                    Outcome::TimedOut => "timed out",
                    Outcome::Closed => "closed",
                    Outcome::Failed => "failed",
                });
                let args =
                    json!({ "item": item, "outcome": outcome, "waits": waits, "line": place });
                (bar.thread, name, args)
            }
            Doing::Task(number) => (bar.thread, format!("task {number}"), json!({})),
            Doing::Hold {
                object: lock,
                found,
                left,
                ..
            } => {
                let name = format!("holds {}", object.unwrap_or_default());
                let tid = self.track(bar.process, lock);
                (tid, name, json!({ "found": found, "left": left }))
            }
        };
        self.slice(pid, tid, bar.from, bar.to, name.trim_end(), args);
    }

    fn track(&mut self, process: usize, lock: ObjectId) -> u32 {
        let next = FIRST_LOCK + self.holders.len() as u32;
        *self.holders.entry((process, lock)).or_insert(next)
    }

    /// From within a slice to within another.
    fn flow(&mut self, arrow: &Arrow, id: usize) {
        let name = match arrow.what {
            Going::Item(_) => "item",
            Going::Lock(_) => "lock",
            Going::Spawn => "spawn",
            Going::End => "end",
        };
        let sent = within(arrow.from);
        let came = within(arrow.to);
        for (phase, point, at) in [("s", arrow.from, sent), ("f", arrow.to, came)] {
            let pid = self.run.processes[point.process].pid;
            let tid = match arrow.what {
                Going::Lock(lock) => self.track(point.process, lock),
                _ => point.thread,
            };
            let mut event = json!({
                "ph": phase, "pid": pid, "tid": tid, "name": name, "cat": name, "id": id,
                "ts": microseconds(at),
            });
            if phase == "f" {
                event["bp"] = "e".into();
            }
            self.event(at, Duration::ZERO, &event);
        }
    }

    /// How many items are in each queue.
    fn counters(&mut self) {
        let run = self.run;
        let mut items: BTreeMap<ObjectId, i64> = BTreeMap::new();
        let mut moves: Vec<(Moment, ObjectId, i64)> = Vec::new();
        for arrow in &run.arrows {
            if let Going::Item(queue) = arrow.what {
                moves.extend([(arrow.from.at, queue, 1), (arrow.to.at, queue, -1)]);
            }
        }
        moves.extend(run.left.iter().map(|&(queue, put)| (put, queue, 1)));
        moves.sort_by_key(|(at, ..)| *at);
        let Some(first) = run.processes.first() else {
            return;
        };
        for (at, queue, more) in moves {
            let count = items.entry(queue).or_default();
            *count += more;
            let name = format!("items in the {}", run.name(queue));
            let event = json!({
                "ph": "C", "pid": first.pid, "name": name, "ts": microseconds(at.time),
                "args": { "items": *count },
            });
            self.event(at.time, Duration::ZERO, &event);
        }
    }

    fn names(&mut self) {
        let mut names = Vec::new();
        let mut name = |pid: u32, tid: u32, kind: &str, key: &str, value: Value| {
            names.push(
                json!({ "ph": "M", "pid": pid, "tid": tid, "name": kind, "args": { key: value } }),
            );
        };
        for (process, place) in self.run.processes.iter().zip(0..) {
            let (pid, called) = (process.pid, process.name.as_str());
            name(pid, pid, "process_name", "name", called.into());
            name(pid, pid, "process_sort_index", "sort_index", place.into());
            name(pid, pid, "thread_name", "name", called.into());
        }
        for (&(process, lock), &tid) in &self.holders {
            let pid = self.run.processes[process].pid;
            let called = format!("holds {}", self.run.name(lock));
            name(pid, tid, "thread_name", "name", called.into());
        }
        for event in names {
            self.event(Duration::ZERO, Duration::ZERO, &event);
        }
    }
}
