//! A run as a picture needs it: who was there from when to when, what each did meanwhile, and what
//! went from one to another.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitStatus};
use std::thread;
use std::time::Duration;

use common::trace::{Act, Event, ObjectId, Outcome, Trace, What};
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::waitpid;
use nix::unistd::Pid;

/// A point of a run: of two, the one with the greater number is later.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Moment {
    /// The how manieth event of the run.
    pub number: usize,
    /// How long after the beginning.
    pub time: Duration,
}

/// A process.
pub struct Process {
    /// Its pid.
    pub pid: u32,
    /// Its name, and of those after the first with this name, which it is: `worker 1 (2nd)`.
    pub name: String,
    /// Its place among the processes.
    pub parent: Option<usize>,
    /// When it has begun.
    pub born: Moment,
    /// When it has ended, and how, as far as that is known.
    pub end: Option<(Moment, End)>,
}

/// How a process has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// By itself.
    Exit(i32),
    /// As its parent has found it.
    Status(ExitStatus),
    /// It has become another program.
    Exec,
}

impl End {
    /// Whether it is the end of a process that was in order.
    pub fn is_good(self) -> bool {
        match self {
            End::Exit(code) => code == 0,
            End::Status(status) => status.success(),
            End::Exec => true,
        }
    }
}

/// Something that a process does for a while.
#[derive(Clone, Debug)]
pub struct Bar {
    /// Which process, by its place among them.
    pub process: usize,
    /// Which of its threads.
    pub thread: u32,
    /// From when on.
    pub from: Moment,
    /// Until when: of what was never done, until its end, or the end of what is known.
    pub to: Moment,
    /// What it does.
    pub doing: Doing,
}

/// What a process does for a while.
#[derive(Clone, Debug)]
pub enum Doing {
    /// Something to others.
    Act {
        /// What.
        act: Act,
        /// With what.
        object: Option<ObjectId>,
        /// Which of the items.
        item: Option<u32>,
        /// What came of it; `None`, if it was never done.
        outcome: Option<Outcome>,
        /// Whether it had to wait for another process.
        waits: bool,
        /// If it waits for long: the line that called.
        place: Option<String>,
        /// If it waits for long, and for one process alone: that one, by its place among them.
        upon: Option<usize>,
    },
    /// It holds a lock.
    Hold {
        /// Whose.
        object: ObjectId,
        /// What it has found under it.
        found: Option<i32>,
        /// What it has left there.
        left: Option<i32>,
        /// Whether it has given it back.
        given: bool,
    },
    /// It has a pool's task, or some that were handed in together, in hand.
    Task(u32),
}

impl Bar {
    /// With what.
    pub fn object(&self) -> Option<ObjectId> {
        match self.doing {
            Doing::Act { object, .. } => object,
            Doing::Hold { object, .. } => Some(object),
            Doing::Task(_) => None,
        }
    }

    /// Whether it is a wait for another process.
    pub fn is_wait(&self) -> bool {
        matches!(self.doing, Doing::Act { waits: true, .. })
    }

    /// Whether it takes longer than an act that need not wait.
    fn is_long(&self) -> bool {
        self.to.time.saturating_sub(self.from.time) >= Duration::from_micros(100)
    }

    fn item(&self) -> Option<u32> {
        match self.doing {
            Doing::Act { item, .. } => item,
            _ => None,
        }
    }
}

/// Something goes from one process to another.
#[derive(Clone, Copy, Debug)]
pub struct Arrow {
    /// What it is.
    pub what: Going,
    /// From whom, and when.
    pub from: Point,
    /// To whom, and when.
    pub to: Point,
}

/// One end of an arrow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Point {
    /// The process, by its place among them.
    pub process: usize,
    /// Its thread.
    pub thread: u32,
    /// When.
    pub at: Moment,
    /// When what it is an end of has begun: a bar, or the process.
    pub since: Moment,
}

impl Point {
    fn new(bar: &Bar, at: Moment) -> Self {
        Point {
            process: bar.process,
            thread: bar.thread,
            at,
            since: bar.from,
        }
    }
}

/// What goes from one process to another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Going {
    /// An item of a queue or a pipe.
    Item(ObjectId),
    /// A lock for which the second has waited.
    Lock(ObjectId),
    /// A process starts another one.
    Spawn,
    /// A process ends, for which the other one has waited.
    End,
}

/// What processes share.
pub struct Object {
    /// What it is: `lock`, `queue`.
    pub kind: String,
    /// Its kind, and if there are more of that kind, which of them it is: `lock 2`.
    pub name: String,
    /// Where in the program it was made.
    pub place: String,
}

/// Something that a process does at once.
#[derive(Clone, Copy)]
pub struct Deed {
    /// The process, by its place among them.
    pub process: usize,
    /// When.
    pub at: Moment,
    /// With what.
    pub object: ObjectId,
}

/// A run.
#[derive(Default)]
pub struct Run {
    /// The processes, in the order in which they have begun.
    pub processes: Vec<Process>,
    /// What they share.
    pub objects: BTreeMap<ObjectId, Object>,
    /// What each has done, in the order in which that has begun.
    pub bars: Vec<Bar>,
    /// What went from one to another.
    pub arrows: Vec<Arrow>,
    /// What was put, into what and when, and never got.
    pub left: Vec<(ObjectId, Moment)>,
    /// What managers have done for their clients.
    pub services: Vec<Deed>,
    /// Who has closed a queue.
    pub closes: Vec<Deed>,
    /// What is known last.
    pub last: Option<Moment>,
}

impl Run {
    /// From its events.
    pub fn of(events: impl IntoIterator<Item = Event>) -> Run {
        let mut events: Vec<Event> = events.into_iter().collect();
        // Who was stopped between its place in the order and its look at the clock has a time that
        // is later than that of what came after it.
        let mut most = Duration::MAX;
        for event in events.iter_mut().rev() {
            most = most.min(event.time);
            event.time = most;
        }
        // On a coarse clock, too, nothing ends at the very moment at which it has begun.
        let mut least = Duration::ZERO;
        let mut reader = Reader::default();
        for (number, mut event) in events.into_iter().enumerate() {
            event.time = event.time.max(least);
            least = event.time + Duration::from_nanos(1);
            reader.read(number, event);
        }
        reader.finish()
    }

    /// That of a program, while `run` runs it.
    ///
    /// # Errors
    /// There is no memory for its record, or the record was too small.
    pub fn record<T>(mut program: Command, run: impl FnOnce(Command) -> T) -> io::Result<(T, Run)> {
        let trace = Trace::in_memory(1_000_000)?;
        program.env("MP_TRACE", trace.path());
        let done = run(program);
        match trace.dropped() {
            0 => Ok((done, Run::of(trace.events()))),
            more => Err(io::Error::other(format!(
                "{more} events have found no room"
            ))),
        }
    }

    /// That of a program that hangs: until nothing has moved in it for a second. Then it is killed.
    ///
    /// # Errors
    /// As [`record`](Run::record)'s; it cannot be started, or ended.
    pub fn until_still(mut program: Command) -> io::Result<Run> {
        program.process_group(0);
        let trace = Trace::in_memory(1_000_000)?;
        let mut child = program.env("MP_TRACE", trace.path()).spawn()?;
        let mut seen = 0;
        while child.try_wait()?.is_none() && (trace.is_empty() || trace.len() > seen) {
            seen = trace.len();
            thread::sleep(Duration::from_secs(1));
        }
        let run = Run::of(trace.events());
        // It, and what it has started; a program that has ended meanwhile is still to be reaped.
        let group = Pid::from_raw(child.id().cast_signed());
        let killed = killpg(group, Signal::SIGKILL);
        child.wait()?;
        // Whoever adopts orphans has got these.
        while waitpid(Pid::from_raw(-group.as_raw()), None).is_ok() {}
        killed?;
        Ok(run)
    }

    /// What it is called.
    pub fn name(&self, object: ObjectId) -> &str {
        self.objects.get(&object).map_or("object", |it| &it.name)
    }

    /// What it is.
    pub fn kind(&self, object: ObjectId) -> &str {
        self.objects.get(&object).map_or("object", |it| &it.kind)
    }

    /// Who has held the locks of such objects, one after the other: its name, the object, what it
    /// has found there, and what it has left.
    pub fn holds(&self, kind: &str) -> Vec<(&str, ObjectId, Option<i32>, Option<i32>)> {
        let holds = self.bars.iter().filter_map(|bar| match bar.doing {
            Doing::Hold {
                object,
                found,
                left,
                ..
            } if self.kind(object) == kind => {
                let name = self.processes[bar.process].name.as_str();
                Some((name, object, found, left))
            }
            _ => None,
        });
        holds.collect()
    }

    /// The process that holds a lock at that moment.
    pub fn holder(&self, of: ObjectId, at: Moment) -> Option<usize> {
        let holds = |bar: &&Bar| {
            matches!(bar.doing, Doing::Hold { object, .. } if object == of)
                && bar.from <= at
                && at < bar.to
        };
        self.bars.iter().find(holds).map(|bar| bar.process)
    }

    /// What processes have done to others.
    pub fn acts(&self) -> impl Iterator<Item = &Bar> {
        let is_act = |bar: &&Bar| matches!(bar.doing, Doing::Act { .. });
        self.bars.iter().filter(is_act)
    }
}

/// What is going on, while events are read.
#[derive(Default)]
struct Reader {
    run: Run,
    /// Who has a pid now.
    places: HashMap<u32, usize>,
    /// The acts that a thread is in, the one within the other, by their bars.
    acts: HashMap<u32, Vec<usize>>,
    /// What was never done.
    undone: Vec<usize>,
    /// What a thread has done last.
    done: HashMap<u32, usize>,
    /// Who holds a lock: the bar.
    holds: HashMap<ObjectId, usize>,
    /// Which task a worker has.
    tasks: HashMap<usize, usize>,
    /// How many processes there are of a name, and all names that are taken.
    namesakes: HashMap<String, usize>,
    names: HashSet<String>,
    /// Who was spawned in which act, by pid, and whose end was found in which.
    spawns: Vec<(u32, usize)>,
    joins: Vec<(usize, usize)>,
}

impl Reader {
    fn read(&mut self, number: usize, event: Event) {
        let at = Moment {
            number,
            time: event.time,
        };
        self.run.last = Some(at);
        if let What::Born { name, parent } = event.what {
            return self.begins(event.pid, name, parent, at);
        }
        // Its birth has found no room, or was not written to the end.
        if !self.places.contains_key(&event.pid) {
            self.begins(event.pid, format!("pid {}", event.pid), 0, at);
        }
        let process = self.places[&event.pid];
        let bar = |doing| Bar {
            process,
            thread: event.thread,
            from: at,
            to: at,
            doing,
        };
        match event.what {
            What::Exits { code } => self.ends(process, at, End::Exit(code)),
            What::Ended { pid, status } => {
                if let Some(&child) = self.places.get(&pid) {
                    self.ends(child, at, End::Status(status));
                    let join = self.done.remove(&event.thread);
                    self.joins.extend(join.map(|join| (child, join)));
                }
            }
            What::Made {
                object,
                kind,
                place,
            } => {
                let (kind, place) = (printable(&kind), printable(&place));
                let name = kind.clone();
                let made = Object { kind, name, place };
                self.run.objects.insert(object, made);
            }
            What::Before {
                act, object, value, ..
            } => {
                match (act, object) {
                    (Act::Unlock, Some(object)) => self.lets_go(process, object, at, value),
                    (Act::Get, Some(object)) if self.run.kind(object) == TASKS => {
                        self.tasks.remove(&process);
                    }
                    _ => {}
                }
                let doing = Doing::Act {
                    act,
                    object,
                    item: None,
                    outcome: None,
                    waits: false,
                    place: None,
                    upon: None,
                };
                self.acts
                    .entry(event.thread)
                    .or_default()
                    .push(self.run.bars.len());
                self.run.bars.push(bar(doing));
            }
            What::After {
                act,
                object,
                item,
                value,
                outcome,
                ..
            } => {
                if let Some(index) = self.acts.get_mut(&event.thread).and_then(Vec::pop) {
                    self.done.insert(event.thread, index);
                    if let (Act::Spawn, Some(pid)) = (act, item) {
                        self.spawns.push((pid, index));
                    }
                    let bar = &mut self.run.bars[index];
                    bar.to = at;
                    if let Doing::Act {
                        outcome: it,
                        item: of,
                        ..
                    } = &mut bar.doing
                    {
                        (*it, *of) = (Some(outcome), item);
                    }
                }
                match (act, object) {
                    _ if outcome != Outcome::Done => {}
                    (Act::Lock, Some(object)) => {
                        let dead = self.holds.insert(object, self.run.bars.len());
                        if let Some(hold) = dead {
                            let hold = &mut self.run.bars[hold];
                            let end = self.run.processes[hold.process].end;
                            hold.to = end.map_or(at, |(end, _)| end.min(at));
                        }
                        self.run.bars.push(bar(Doing::Hold {
                            object,
                            found: value,
                            left: None,
                            given: false,
                        }));
                    }
                    (Act::Claim, _) => {
                        if let Some(task) = item {
                            self.tasks.insert(process, self.run.bars.len());
                            self.run.bars.push(bar(Doing::Task(task)));
                        }
                    }
                    (Act::Get, Some(object)) if self.run.kind(object) == TASKS => {
                        let task = self.tasks.get(&process);
                        let task = task.map(|&task| &mut self.run.bars[task]);
                        if let Some(task) = task.filter(|task| task.to == task.from) {
                            (task.from, task.to) = (at, at);
                        }
                    }
                    // It may send more than one part.
                    (Act::Put, Some(object)) if self.run.kind(object) == RESULTS => {
                        let task = self.tasks.get(&process);
                        task.inspect(|&&task| self.run.bars[task].to = at);
                    }
                    _ => {}
                }
            }
            What::Asleep { place, upon, .. } => {
                let act = self.acts.get(&event.thread).and_then(|acts| acts.last());
                let bar = act.and_then(|&act| self.run.bars.get_mut(act));
                if let Some(Doing::Act {
                    place: line,
                    upon: other,
                    ..
                }) = bar.map(|bar| &mut bar.doing)
                {
                    *line = Some(printable(&place)).filter(|place| !place.is_empty());
                    *other = upon.and_then(|pid| self.places.get(&pid).copied());
                }
            }
            What::Serves { object, .. } => self.run.services.push(Deed {
                process,
                at,
                object,
            }),
            What::Close { object } => self.run.closes.push(Deed {
                process,
                at,
                object,
            }),
            _ => {}
        }
    }

    fn begins(&mut self, pid: u32, name: String, parent: u32, at: Moment) {
        if let Some(&before) = self.places.get(&pid) {
            self.ends(before, at, End::Exec);
            self.undone
                .extend(self.acts.remove(&pid).unwrap_or_default());
        }
        let name = self.name(pid, &name);
        let parent = self.places.get(&parent).copied();
        self.places.insert(pid, self.run.processes.len());
        self.run.processes.push(Process {
            pid,
            name,
            parent,
            born: at,
            end: None,
        });
    }

    /// One that no other process has.
    fn name(&mut self, pid: u32, name: &str) -> String {
        let name = match name.trim() {
            "" => format!("pid {pid}"),
            name => printable(name),
        };
        let namesakes = self.namesakes.entry(name.clone()).or_default();
        loop {
            *namesakes += 1;
            let ending = match (*namesakes % 100, *namesakes % 10) {
                (11..=13, _) => "th",
                (_, 1) => "st",
                (_, 2) => "nd",
                (_, 3) => "rd",
                _ => "th",
            };
            let unique = match *namesakes {
                1 => name.clone(),
                nth => format!("{name} ({nth}{ending})"),
            };
            if self.names.insert(unique.clone()) {
                return unique;
            }
        }
    }

    fn ends(&mut self, process: usize, at: Moment, end: End) {
        let known = &mut self.run.processes[process].end;
        match known {
            // Its parent may know better how it has ended, but not when.
            Some((_, before)) if end != End::Exec => *before = end,
            Some(_) => {}
            None => *known = Some((at, end)),
        }
    }

    fn lets_go(&mut self, process: usize, object: ObjectId, at: Moment, value: Option<i32>) {
        let Some(&hold) = self.holds.get(&object) else {
            return;
        };
        let bar = &mut self.run.bars[hold];
        if let Doing::Hold { left, given, .. } = &mut bar.doing
            && bar.process == process
        {
            (*left, *given) = (value, true);
            bar.to = at;
            self.holds.remove(&object);
        }
    }

    fn finish(mut self) -> Run {
        let open = self.acts.values().flatten().chain(self.holds.values());
        let open = open.chain(self.tasks.values()).chain(&self.undone);
        let run = &mut self.run;
        for &bar in open {
            let bar = &mut run.bars[bar];
            let end = run.processes[bar.process].end.map(|(at, _)| at);
            bar.to = end.or(run.last).unwrap_or(bar.from).max(bar.from);
        }
        name_objects(&mut run.objects);
        spawns(run, &self.spawns);
        ends(run, &self.joins);
        items(run);
        locks(run);
        run.arrows.sort_by_key(|arrow| arrow.to.at);
        self.run
    }
}

/// The kinds of a pool's two queues.
pub(crate) const TASKS: &str = "task queue of the pool";
pub(crate) const RESULTS: &str = "result queue of the pool";

fn name_objects(objects: &mut BTreeMap<ObjectId, Object>) {
    let mut counts: HashMap<String, usize> = HashMap::new();
    for object in objects.values_mut() {
        let count = counts.entry(object.kind.clone()).or_default();
        *count += 1;
        object.name = format!("{} {count}", object.kind);
    }
    for object in objects.values_mut().filter(|it| counts[&it.kind] == 1) {
        object.name.clone_from(&object.kind);
    }
}

/// A child's life, from its side.
fn life(run: &Run, child: usize, at: Moment) -> Point {
    Point {
        process: child,
        thread: run.processes[child].pid,
        at,
        since: run.processes[child].born,
    }
}

fn spawns(run: &mut Run, spawns: &[(u32, usize)]) {
    let mut children: HashMap<u32, VecDeque<usize>> = HashMap::new();
    for (place, process) in run.processes.iter().enumerate() {
        children.entry(process.pid).or_default().push_back(place);
    }
    for &(pid, spawn) in spawns {
        let bar = &run.bars[spawn];
        // Another one has had this pid before.
        let is_it = |&child: &usize| {
            let process = &run.processes[child];
            process.parent == Some(bar.process) && bar.from < process.born
        };
        let of_pid = children.get(&pid).into_iter().flatten().copied();
        if let Some(child) = { of_pid }.find(is_it) {
            run.arrows.push(Arrow {
                what: Going::Spawn,
                from: Point::new(bar, bar.from),
                to: life(run, child, run.processes[child].born),
            });
        }
    }
}

/// To who has waited for them.
fn ends(run: &mut Run, joins: &[(usize, usize)]) {
    for &(child, join) in joins {
        let bar = &run.bars[join];
        let is_join = matches!(
            bar.doing,
            Doing::Act {
                act: Act::Join,
                outcome: Some(Outcome::Done),
                ..
            }
        );
        let end = run.processes[child].end.map(|(end, _)| end);
        if let Some(end) = end.filter(|end| is_join && bar.from < *end) {
            run.arrows.push(Arrow {
                what: Going::End,
                from: life(run, child, end.min(bar.to)),
                to: Point::new(bar, bar.to),
            });
            wait(&mut run.bars[join]);
        }
    }
}

fn wait(bar: &mut Bar) {
    if let Doing::Act { waits, .. } = &mut bar.doing {
        *waits = true;
    }
}

/// From each put to its get.
fn items(run: &mut Run) {
    // What a manager's value is given is no item.
    let travels = |it: &Object| it.kind.contains("queue") || it.kind == "pipe";
    let objects = run.objects.iter().filter(|(_, made)| travels(made));
    let mut ways: BTreeMap<ObjectId, [Vec<usize>; 2]> = objects
        .map(|(&object, _)| (object, Default::default()))
        .collect();
    for (index, bar) in run.bars.iter().enumerate() {
        if let Doing::Act {
            act,
            object: Some(object),
            outcome: Some(Outcome::Done),
            ..
        } = bar.doing
            && let Some([puts, gets]) = ways.get_mut(&object)
        {
            // The parent gets several outcomes at once, and then hands over one after the other.
            match (act, run.kind(object) == RESULTS) {
                (Act::Put, _) => puts.push(index),
                (Act::Get, false) | (Act::Call, true) => gets.push(index),
                _ => {}
            }
        }
    }
    for (object, mut way) in ways {
        for acts in &mut way {
            acts.sort_by_key(|&act| run.bars[act].to);
        }
        let [all, gets] = way;
        let is_handed_over = run.kind(object) == RESULTS;
        // Those that have no number come out in the order in which they were put.
        let mut puts: HashMap<Option<u32>, VecDeque<usize>> = HashMap::new();
        for put in all {
            puts.entry(run.bars[put].item()).or_default().push_back(put);
        }
        for index in gets {
            let get = &run.bars[index];
            let came = if is_handed_over { get.from } else { get.to };
            let known = puts.entry(get.item()).or_default();
            // Of who was killed before it could say that it has put it, there is none.
            let oldest = known.front().map(|&put| &run.bars[put]);
            let Some(put) = oldest.filter(|put| put.from < came) else {
                continue;
            };
            known.pop_front();
            // Where the clock has stopped the one who has put it for a while.
            let sent = if put.to < came { put.to } else { put.from };
            run.arrows.push(Arrow {
                what: Going::Item(object),
                from: Point::new(put, sent),
                to: Point::new(get, came),
            });
            if get.from < sent {
                wait(&mut run.bars[index]);
            }
        }
        if !is_handed_over {
            let left = puts.into_values().flatten();
            run.left.extend(left.map(|put| (object, run.bars[put].to)));
        }
    }
    // Who has got nothing has waited, too, and so has who puts where there is no room.
    for bar in &mut run.bars {
        let in_vain = matches!(
            bar.doing,
            Doing::Act { act: Act::Get | Act::Lock | Act::Put | Act::Join, outcome, .. }
                if outcome != Some(Outcome::Done)
        );
        let puts = matches!(bar.doing, Doing::Act { act: Act::Put, .. });
        if (in_vain || puts) && bar.is_long() {
            wait(bar);
        }
    }
}

/// From each release to who has waited for it.
fn locks(run: &mut Run) {
    let mut before: HashMap<ObjectId, Point> = HashMap::new();
    let holds = run.bars.iter().enumerate();
    let mut holds: Vec<(usize, ObjectId)> = holds
        .filter_map(|(index, bar)| match bar.doing {
            Doing::Hold { object, .. } => Some((index, object)),
            _ => None,
        })
        .collect();
    holds.sort_by_key(|&(hold, _)| run.bars[hold].from);
    let acts = run.bars.iter().enumerate();
    let acts = acts.filter(|(_, bar)| matches!(bar.doing, Doing::Act { .. }));
    let ends: HashMap<usize, usize> = acts.map(|(act, bar)| (bar.to.number, act)).collect();
    for (hold, object) in holds {
        let (taken, given) = {
            let bar = &run.bars[hold];
            (Point::new(bar, bar.from), Point::new(bar, bar.to))
        };
        let released = before.insert(object, given);
        let Some(from) = released.filter(|it| it.process != taken.process) else {
            continue;
        };
        if let Some(&act) = ends.get(&taken.at.number)
            && let act = &mut run.bars[act]
            && act.from < from.at
        {
            if from.at < taken.at {
                wait(act);
                run.arrows.push(Arrow {
                    what: Going::Lock(object),
                    from,
                    to: taken,
                });
            } else if act.is_long() {
                wait(act); // for somebody who has died with it
            }
        }
    }
}

/// A text of the record, which may be any, as a line that is not too long.
fn printable(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => picture::printable(&text[..end]) + "…",
        None => picture::printable(text),
    }
}

/// As many letters as a row of the picture has room for.
const LONGEST: usize = 64;
