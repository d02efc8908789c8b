//! What `timeline` makes of runs: pictures, sentences and Chrome trace JSON. The runs are of programs
//! that do what processes here can do: this test, started with the name of one.

#![allow(clippy::unwrap_used, missing_docs)]

#[macro_use]
#[path = "../../tests/harness/mod.rs"]
#[allow(unsafe_code, reason = "it sets a signal back")]
mod harness;

use std::collections::BTreeMap;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use std::{env, fs, thread};

use common::trace::{Act, Event, Outcome, Trace, What};
use common::{Lock, Manager, Pool, Process, Queue, Value, pipe};
use nix::sys::signal::{Signal, kill, raise};
use nix::unistd::{Pid, getppid};
use onlookers::run::{Arrow, Bar, Doing, Going, Run};
use onlookers::view::{Choice, View};
use onlookers::{chrome, drawing, words};
use serde_json::Value as Json;
use testing::Program;

use harness::{until_asleep, until_noted};

/// In front of a program's name, which somebody might select trials by.
const PROGRAM: &str = "program:";

const PROGRAMS: [(&str, fn()); 11] = [
    ("market", market),
    ("turns", turns),
    ("death", death),
    ("in-vain", in_vain),
    ("servants", servants),
    ("threads", threads),
    ("starter", starter),
    ("heirs", heirs),
    ("crowd", crowd),
    ("parts", parts),
    ("orphans", orphans),
];

/// Those that take their time.
const SLOW: [(&str, fn()); 2] = [("patience", patience), ("stuck", stuck)];

trials![
    each_item_goes_from_who_has_put_it_to_who_gets_it,
    a_lock_goes_to_who_waits_for_it,
    a_death_is_in_the_middle_of_a_task,
    who_waits_in_vain_waits,
    who_has_to_wait_waits,
    who_waits_for_ever_waits_for_somebody,
    a_manager_serves,
    a_run_is_in_order,
    a_lock_of_the_dead_is_held_by_one,
    an_end_goes_to_who_has_waited_for_it,
    a_process_has_a_name_of_its_own,
    what_was_not_written_down_is_missed_by_nobody,
    what_is_left_is_counted,
    a_refusal_at_once_is_no_wait,
    perfetto_can_read_it,
    a_picture_is_whole,
    a_picture_shows_who_waits_for_whom,
    a_picture_shows_what_is_chosen,
    a_long_run_is_shown_where_most_happens,
    an_item_is_shown_though_its_other_end_is_not,
    the_command_writes_its_files,
    the_command_says_what_to_do,
];

fn main() {
    let argument = env::args().nth(1).unwrap_or_default();
    let name = argument.strip_prefix(PROGRAM);
    let mut programs = PROGRAMS.iter().chain(&SLOW);
    if let Some((_, body)) = programs.find(|(it, _)| name == Some(*it)) {
        return body();
    }
    harness::main(trials());
}

fn program(name: &str) -> Command {
    let mut program = Command::new(env::current_exe().unwrap());
    program.arg(format!("{PROGRAM}{name}"));
    program
}

fn recorded(name: &str, record: &Path) -> Command {
    let mut program = program(name);
    program.env("MP_TRACE", record);
    program
}

fn events(name: &str) -> Vec<Event> {
    let trace = Trace::in_memory(1_000_000).unwrap();
    let output = Program::start(recorded(name, trace.path())).wait();
    assert!(output.status.success(), "{output:?}");
    trace.events().collect()
}

fn run(name: &str) -> Run {
    let (output, run) = Run::record(program(name), |it| Program::start(it).wait()).unwrap();
    assert!(output.status.success(), "{output:?}");
    run
}

fn child(name: &str, body: impl FnOnce() -> anyhow::Result<()> + Send) -> Process {
    Process::spawn(name, body).unwrap()
}

fn join(children: impl IntoIterator<Item = Process>) {
    for mut process in children {
        assert!(process.join().unwrap().success());
    }
}

/// Two sell and two buy. Who buys says so to the one that has sold, by its lock.
fn market() {
    // Nothing goes from one to another at first.
    let quiet = Lock::new().unwrap();
    (0..60).for_each(|_| drop(quiet.lock().unwrap()));
    let (queue, sold) = (
        Queue::new().unwrap(),
        [(); 2].map(|()| Lock::new().unwrap()),
    );
    let sell = |number: usize| (0..50).try_for_each(|_| Ok(queue.put(&number)?));
    let buy = || {
        for _ in 0..50 {
            let _sold = sold[queue.get()?].lock()?;
        }
        Ok(())
    };
    let sellers = [0, 1].map(|number| child(&format!("seller {number}"), move || sell(number)));
    let buyers = [0, 1].map(|number| child(&format!("buyer {number}"), buy));
    join(sellers.into_iter().chain(buyers));
    queue.close();
}

/// The second waits for the lock of the first, who lets go when that is known.
fn turns() {
    let value = Value::new(5).unwrap();
    let (told, go) = (Queue::<()>::new().unwrap(), Queue::<()>::new().unwrap());
    let first = child("first", || {
        let mut guard = value.lock()?;
        told.put(&())?;
        go.get()?;
        *guard += 1;
        Ok(())
    });
    let second = child("second", || {
        told.get()?;
        *value.lock()? *= 2;
        Ok(())
    });
    until_noted(second.pid());
    go.put(&()).unwrap();
    join([first, second]);
    assert_eq!(*value.lock().unwrap(), 12);
}

fn death() {
    let pool = Pool::new(1, |number: i32| -> anyhow::Result<i32> {
        if number == 2 {
            raise(Signal::SIGKILL)?;
        }
        Ok(number)
    })
    .unwrap();
    let tasks = [1, 2, 3].map(|number| pool.apply_async(&number));
    let outcomes = tasks.map(|task| task.get().is_ok());
    assert_eq!(outcomes, [true, false, true]);
    pool.join().unwrap();
}

fn in_vain() {
    let (lock, queue) = (Lock::new().unwrap(), Queue::<()>::new().unwrap());
    let child = child("child", || {
        let limit = Duration::from_millis(20);
        queue.get_timeout(limit).unwrap_err();
        let _guard = lock.lock()?;
        lock.lock_timeout(limit).unwrap_err();
        Ok(())
    });
    join([child]);
}

fn servants() {
    let manager = Manager::start().unwrap();
    let (value, lock) = (manager.value(0).unwrap(), manager.lock().unwrap());
    let count = || {
        for _ in 0..5 {
            let _guard = lock.lock()?;
            value.set(&(value.get()? + 1))?;
        }
        Ok(())
    };
    join(["one", "two"].map(|name| child(name, count)));
    assert_eq!(value.get().unwrap(), 10);
}

/// Locks that are not given back in the order in which they were taken, in two threads at once.
fn threads() {
    let locks = [(); 4].map(|()| Lock::new().unwrap());
    thread::scope(|scope| {
        for pair in locks.chunks(2) {
            scope.spawn(|| {
                for _ in 0..20 {
                    let (one, two) = (pair[0].lock().unwrap(), pair[1].lock().unwrap());
                    drop(one);
                    drop(two);
                }
            });
        }
    });
}

/// A child that talks to its parent, and then becomes another program.
fn starter() {
    let path = env::current_exe().unwrap();
    let (ours, theirs) = pipe::<Result<u8, Json>, u8>().unwrap();
    // The second one cannot be decoded.
    for item in [Ok(1), Err(Json::Null), Ok(2), Ok(3)] {
        ours.send(&item).unwrap();
    }
    let child = child("speller", move || {
        let items = (0..4).flat_map(|_| theirs.recv()).flatten();
        theirs.send(&items.sum())?;
        Err(Command::new(&path).arg("servants").exec().into())
    });
    assert_eq!(ours.recv().unwrap(), 6);
    join([child]);
}

/// A lock of one who is killed with it, another one that is refused at once, a join in vain, and an
/// item that nobody gets.
fn heirs() {
    let (value, told) = (Value::new(1).unwrap(), Queue::<()>::new().unwrap());
    drop(value.lock().unwrap()); // it is not this one that is waited for
    let mut holder = child("holder", || {
        let _guard = value.lock()?;
        told.put(&())?;
        loop {
            thread::park();
        }
    });
    told.get().unwrap();
    for _ in 0..100 {
        value.try_lock().unwrap_err();
        told.try_get().unwrap_err();
    }
    told.put(&()).unwrap();
    until_asleep(holder.pid()); // all that it has done is written down
    let heir = child("heir", || {
        *value.recover()? += 2;
        until_noted(getppid().as_raw().cast_unsigned());
        Ok(())
    });
    until_noted(heir.pid());
    assert!(
        holder
            .join_timeout(Duration::from_millis(50))
            .unwrap()
            .is_none()
    );
    kill(Pid::from_raw(holder.pid().cast_signed()), Signal::SIGKILL).unwrap();
    join([heir]);
    while holder.is_alive().unwrap() {
        thread::yield_now();
    }
}

const NAMES: [&str; 9] = [
    "<b>&\"'</b>",
    "a\n\nb\u{1b}[31m",
    "",
    " ",
    "twin (2nd)",
    "twin",
    "twin",
    "\u{fffe}\u{202e}שלום",
    "]]>",
];

/// Many at once, with names that are no names.
fn crowd() {
    let value = Value::new(0).unwrap();
    let long = "long ".repeat(2000);
    let names = NAMES.iter().copied().chain([long.as_str()]);
    let names: Vec<&str> = names.chain([NAMES[8]; 21]).collect();
    join(names.iter().map(|name| {
        child(name, || {
            *value.lock()? += 1;
            Ok(())
        })
    }));
}

/// Outcomes that are so large that each waits for room.
fn parts() {
    let task = |number: u8| -> anyhow::Result<Vec<u8>> { Ok(vec![number; 300_000]) };
    let pool = Pool::new(3, task).unwrap();
    assert_eq!(pool.map(0..40).unwrap().len(), 40);
    pool.join().unwrap();
}

/// The first get need not wait, the second one does; so does the child's last put.
fn patience() {
    let queue = Queue::with_capacity(3000).unwrap();
    let (small, great) = (vec![0_u8; 1], vec![0_u8; 2900]);
    queue.put(&small).unwrap();
    queue.get().unwrap();
    let child = child("child", || {
        until_noted(getppid().as_raw().cast_unsigned());
        queue.put(&small)?;
        queue.put(&great)?;
        Ok(queue.put(&great)?)
    });
    queue.get().unwrap();
    until_noted(child.pid());
    queue.get().unwrap();
    queue.get().unwrap();
    join([child]);
}

/// Waits for the end of one that never ends.
fn stuck() {
    join([child("child", || {
        loop {
            thread::park();
        }
    })]);
}

/// A fork that is not this library's, and a program that is killed.
fn orphans() {
    let (value, queue) = (Value::new(0).unwrap(), Queue::<()>::new().unwrap());
    let value: &'static Value<i32> = Box::leak(Box::new(value));
    let add = || *value.lock().unwrap() += 1;
    let mut shell = Command::new("true");
    // SAFETY: this is the only thread, so its copy may do anything.
    #[allow(unsafe_code)]
    unsafe {
        shell.pre_exec(move || {
            add();
            Ok(())
        });
    }
    assert!(shell.status().unwrap().success());
    add();
    drop(child("reader", || Ok(queue.get()?)));
}

fn name(run: &Run, process: usize) -> &str {
    &run.processes[process].name
}

fn sentences(run: &Run, choice: &Choice) -> Vec<String> {
    words::all(&View::of(run, choice))
}

fn all() -> Choice {
    Choice {
        skip: Some(0),
        steps: usize::MAX,
        ..Choice::default()
    }
}

/// From whom to whom things go.
fn goes(run: &Run, what: fn(Going) -> bool) -> Vec<[&str; 2]> {
    let arrows = run.arrows.iter().filter(|arrow| what(arrow.what));
    let ends = |arrow: &Arrow| [arrow.from.process, arrow.to.process];
    arrows
        .map(|it| ends(it).map(|end| name(run, end)))
        .collect()
}

fn each_item_goes_from_who_has_put_it_to_who_gets_it() {
    let events = events("market");
    items_of_the_market(&Run::of(events.iter().cloned()));
    // Who has put something may say so long after it, when others have put, too.
    let mut late = events;
    for at in 0..late.len() {
        let is_put = |event: &Event| matches!(event.what, What::After { act: Act::Put, .. });
        let put = late[at].clone();
        let behind = late[at + 1..]
            .iter()
            .take_while(|it| it.thread != put.thread);
        let behind = behind.take(20).count();
        if is_put(&put) && at % 3 == 0 {
            late[at..=at + behind].rotate_left(1);
        }
    }
    items_of_the_market(&Run::of(late));
    // Those of a pipe have no number, but an order.
    let run = run("starter");
    let sent = run.arrows.iter().filter(|arrow| {
        matches!(arrow.what, Going::Item(_)) && name(&run, arrow.from.process) == "main"
    });
    let sent: Vec<_> = sent.map(|arrow| arrow.from.at).collect();
    assert!(
        sent.len() == 4 && sent.is_sorted_by(|one, other| one < other),
        "{sent:?}"
    );
}

fn items_of_the_market(run: &Run) {
    let items = run.arrows.iter();
    let items: Vec<_> = items
        .filter(|arrow| matches!(arrow.what, Going::Item(_)))
        .collect();
    assert_eq!(items.len(), 100);
    let story = sentences(run, &all());
    assert_eq!(
        story.last().unwrap(),
        "main closes the queue.",
        "{story:#?}"
    );
    for item in items {
        assert!(item.from.at < item.to.at);
        let (seller, buyer) = (name(run, item.from.process), item.to.process);
        // Next, it takes this seller's lock.
        let locks = run.bars.iter().filter(|bar| bar.process == buyer);
        let mut locks = locks.filter(|bar| matches!(bar.doing, Doing::Hold { .. }));
        let lock = locks.find(|bar| item.to.at < bar.from).unwrap();
        let lock = run.name(lock.object().unwrap());
        let number: usize = lock.strip_prefix("lock ").unwrap().parse().unwrap();
        assert_eq!(seller, format!("seller {}", number - 2));
    }
}

fn a_lock_goes_to_who_waits_for_it() {
    let run = run("turns");
    let handed = goes(&run, |what| matches!(what, Going::Lock(_)));
    assert_eq!(handed, [["first", "second"]]);
    let mut spawned = goes(&run, |what| what == Going::Spawn);
    spawned.sort_unstable(); // by their birth, which is not always that order
    assert_eq!(spawned, [["main", "first"], ["main", "second"]]);
    let story = sentences(&run, &all());
    let line = ", at common/onlookers/tests/timeline.rs:";
    let without_line = |text: &String| match text.split_once(line) {
        Some((text, number)) => {
            assert!(number.trim_end_matches('.').parse::<u32>().is_ok());
            format!("{text}, at its line.")
        }
        None => text.clone(),
    };
    let ours = story.iter().filter(|it| it.contains("value"));
    let ours = ours.map(without_line);
    assert!(
        ours.eq([
            "first takes the value and finds 5.",
            "second waits for the value, which first holds, at its line.",
            "first leaves 6 in the value.",
            "second takes the value and finds 6.",
            "second leaves 12 in the value.",
            "main takes the value and finds 12.",
            "main leaves 12 in the value.",
        ]),
        "{story:#?}"
    );
}

fn a_death_is_in_the_middle_of_a_task() {
    let run = run("death");
    let story = sentences(&run, &all());
    let at = |text: &str| {
        let at = story.iter().position(|it| it == text);
        at.unwrap_or_else(|| panic!("{text}: {story:#?}"))
    };
    let dies = at("worker 1 dies: killed by SIGKILL, in the middle of task 2.");
    assert!(at("worker 1 takes task 2.") < dies);
    assert!(dies < at("worker 1 (2nd) takes task 3."));
    assert!(dies < at("main is told of task 2."));
    at("main is told of task 1.");
    at("main is told of task 3.");
    let picture = drawing::draw(&run, &all(), "death", "a death");
    assert!(picture.contains(">killed by SIGKILL<"), "{picture}");
}

fn who_waits_in_vain_waits() {
    let run = run("in-vain");
    for act in [Act::Get, Act::Join] {
        let waits: Vec<_> = acts(&run, act).map(Bar::is_wait).collect();
        assert_eq!(waits, [true], "{act:?}");
    }
    // A lock that one holds oneself is no wait, but an error.
    for lock in acts(&run, Act::Lock) {
        assert!(!lock.is_wait() || is_long(lock), "{lock:?}");
    }
}

fn acts(run: &Run, of: Act) -> impl Iterator<Item = &Bar> {
    let acts = run.acts();
    acts.filter(move |bar| matches!(bar.doing, Doing::Act { act, .. } if act == of))
}

/// The system may stop somebody in the middle of what is no wait. Then it looks like one.
fn is_long(bar: &Bar) -> bool {
    bar.to.time - bar.from.time >= Duration::from_micros(100)
}

fn who_has_to_wait_waits() {
    let run = run("patience");
    let is = |bar: &Bar| (name(&run, bar.process), bar.is_wait());
    let gets: Vec<_> = acts(&run, Act::Get).map(is).collect();
    assert_eq!(gets[..2], [("main", false), ("main", true)]);
    let [first, _, _, last] = acts(&run, Act::Put).collect::<Vec<_>>()[..] else {
        panic!("four puts")
    };
    assert_eq!(is(first), ("main", is_long(first)));
    assert_eq!(is(last), ("child", true));
}

fn who_waits_for_ever_waits_for_somebody() {
    let story = sentences(&Run::until_still(program("stuck")).unwrap(), &all());
    let last = story.last().unwrap();
    let told = "main waits for the end of child, at common/onlookers/tests/timeline.rs:";
    assert!(last.starts_with(told), "{story:?}");
}

fn a_manager_serves() {
    let run = run("servants");
    let served = |kind: &str| {
        let services = run.services.iter();
        services.filter(|it| run.kind(it.object) == kind).count()
    };
    assert_eq!(served("value of the manager"), 21);
    assert_eq!(served("lock of the manager"), 20);
    let mut services = run.services.iter();
    assert!(services.all(|it| name(&run, it.process) == "manager"));
    let items = goes(&run, |what| matches!(what, Going::Item(_)));
    assert!(items.is_empty(), "a value is no queue");
}

/// Nothing goes back in time, lasts longer than its process, or is held by two.
fn is_in_order(run: &Run) {
    for arrow in &run.arrows {
        let (from, to) = (arrow.from.at, arrow.to.at);
        assert!(from <= to && from.time <= to.time, "{arrow:?}");
    }
    let mut held = BTreeMap::new();
    for bar in &run.bars {
        let process = &run.processes[bar.process];
        let ends = process.end.is_some_and(|(end, _)| end < bar.to);
        assert!(process.born <= bar.from && bar.from <= bar.to, "{bar:?}");
        assert!(bar.from.time <= bar.to.time, "{bar:?}");
        assert!(!ends, "{}: {bar:?}", process.name);
        if let Doing::Hold { object, .. } = bar.doing {
            let before = held.insert(object, bar.to);
            assert!(before <= Some(bar.from), "{bar:?}");
        }
    }
}

fn a_run_is_in_order() {
    PROGRAMS
        .iter()
        .for_each(|(name, _)| is_in_order(&run(name)));
}

/// The end of what has found no room, or the last that each thread did, as of who was killed in the
/// middle of it; and also what no program leaves out, but may overwrite.
fn what_was_not_written_down_is_missed_by_nobody() {
    for (name, _) in PROGRAMS {
        let events = events(name);
        let check = |events: Vec<Event>, is_record: bool| {
            let run = Run::of(events);
            is_in_order(&run);
            let picture = drawing::draw(&run, &all(), "it", "it");
            roxmltree::Document::parse(&picture).unwrap();
            let trace: Json = serde_json::from_str(&chrome::trace(&run)).unwrap();
            if is_record {
                Rules::default().hold(&run, &trace);
            }
        };
        for part in 0..20 {
            check(events[..events.len() * part / 20].to_vec(), true);
        }
        let last: BTreeMap<u32, usize> = events.iter().map(|it| it.thread).zip(0..).collect();
        let but = |is_lost: &dyn Fn(usize, &Event) -> bool| {
            let some = events.iter().enumerate();
            let some = some.filter(|(at, event)| !is_lost(*at, event));
            some.map(|(_, event)| event.clone()).collect()
        };
        check(but(&|at, event| last[&event.thread] == at), true);
        // Who was stopped before it has looked at the clock, and a clock that is too coarse.
        let timed = |time: &dyn Fn(usize, Duration) -> Duration| {
            let mut events = events.clone();
            for (at, event) in events.iter_mut().enumerate() {
                event.time = time(at, event.time);
            }
            check(events, true);
        };
        let stop = Duration::from_secs(1);
        (2..7).for_each(|each| timed(&|at, time| time + stop * u32::from(at % each == 0)));
        timed(&|_, time| Duration::from_millis(time.as_millis() as u64));
        for each in 2..12 {
            check(but(&|at, _| (at * at / 3) % each == 0), false);
            check(but(&|at, _| (at * at / 3) % each == 1), false);
        }
    }
}

fn a_lock_of_the_dead_is_held_by_one() {
    let run = run("heirs");
    let story = sentences(&run, &all());
    // One that asks whether it is free may have been stopped in the middle of that.
    let of_value = story
        .iter()
        .filter(|it| it.contains("the value") && !it.starts_with("main "));
    let story: Vec<&str> = of_value
        .map(|it| it.split(", at ").next().unwrap().trim_end_matches('.'))
        .collect();
    assert_eq!(
        story,
        [
            "holder takes the value and finds 1",
            "heir waits for the value, which holder holds",
            "heir takes the value and finds 1",
            "heir leaves 3 in the value",
        ]
    );
}

fn an_end_goes_to_who_has_waited_for_it() {
    let run = run("heirs");
    assert_eq!(goes(&run, |what| what == Going::End), [["heir", "main"]]);
}

fn a_process_has_a_name_of_its_own() {
    let run = run("crowd");
    let mut names: Vec<&str> = run.processes.iter().map(|it| it.name.as_str()).collect();
    for name in [
        "twin",
        "twin (2nd)",
        "twin (3rd)",
        "]]> (11th)",
        "]]> (22nd)",
    ] {
        assert!(names.contains(&name), "{name}: {names:?}");
    }
    let is_fit = |name: &&str| name.chars().count() < 80 && !name.contains(char::is_control);
    assert!(names.iter().all(is_fit), "{names:?}");
    let whole = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), whole);
    // Each comes out of a spawn of its own, however late its first word is.
    let mut spawns: Vec<usize> = run
        .arrows
        .iter()
        .filter(|it| it.what == Going::Spawn)
        .map(|it| it.from.at.number)
        .collect();
    spawns.sort_unstable();
    spawns.dedup();
    assert_eq!(spawns.len(), whole - 1);
}

fn what_is_left_is_counted() {
    let run = run("heirs");
    let trace: Json = serde_json::from_str(&chrome::trace(&run)).unwrap();
    let counters = trace["traceEvents"].as_array().unwrap().iter();
    let counts: Vec<_> = counters
        .filter(|it| it["ph"] == "C")
        .map(|it| &it["args"]["items"])
        .collect();
    assert_eq!(counts, [1, 0, 1]);
}

fn a_refusal_at_once_is_no_wait() {
    let run = run("heirs");
    let is_refused = |bar: &Bar| {
        let Doing::Act { act, outcome, .. } = bar.doing else {
            return false;
        };
        matches!(act, Act::Get | Act::Lock) && outcome == Some(Outcome::TimedOut)
    };
    let refused: Vec<&Bar> = run.acts().filter(|bar| is_refused(bar)).collect();
    assert_eq!(refused.len(), 100 + 100);
    for bar in refused {
        assert_eq!(bar.is_wait(), is_long(bar), "{bar:?}");
    }
}

/// The rules of the format, without which it shows something else, or nothing.
fn perfetto_can_read_it() {
    for (program, _) in PROGRAMS {
        let run = run(program);
        let trace: Json = serde_json::from_str(&chrome::trace(&run)).unwrap();
        Rules::default().hold(&run, &trace);
    }
}

#[derive(Default)]
struct Rules {
    last: BTreeMap<String, u64>,
    /// The ends of the slices that others may be within.
    open: BTreeMap<String, Vec<u64>>,
    slices: BTreeMap<String, Vec<(u64, u64)>>,
    flows: BTreeMap<u64, Vec<(String, u64, String)>>,
    counts: BTreeMap<String, i64>,
    named: Vec<u64>,
}

impl Rules {
    fn hold(mut self, run: &Run, trace: &Json) {
        for event in trace["traceEvents"].as_array().unwrap() {
            self.event(event);
        }
        for process in &run.processes {
            let is_named = self.named.contains(&process.pid.into());
            assert!(is_named, "{}", process.name);
        }
        assert_eq!(self.counts.values().sum::<i64>(), run.left.len() as i64);
        assert_eq!(self.flows.len(), run.arrows.len());
        for (id, ends) in &self.flows {
            let [(start, sent, one), (finish, came, other)] = &ends[..] else {
                panic!("flow {id}: {ends:?}")
            };
            assert!(start == "s" && finish == "f" && sent <= came, "{ends:?}");
            for (at, track) in [(sent, one), (came, other)] {
                let within = |(from, to): &(u64, u64)| from == at || (from..to).contains(&at);
                let slices = self.slices.get(track);
                let is_bound = slices.is_some_and(|slices| slices.iter().any(within));
                assert!(is_bound, "flow {id} is at no slice: {ends:?}");
            }
        }
    }

    fn event(&mut self, event: &Json) {
        let nanoseconds = |key: &str| {
            let microseconds = event[key].as_f64();
            (microseconds.unwrap_or_else(|| panic!("{event}")) * 1000.0).round() as u64
        };
        let pid = event["pid"].as_u64().unwrap();
        let track = format!("{pid} {}", event["tid"]);
        let kind = event["ph"].as_str().unwrap().to_owned();
        if kind == "M" {
            let is_name = event["name"] == "process_name";
            return self.named.extend(is_name.then_some(pid));
        }
        let time = nanoseconds("ts");
        let before = self.last.insert(track.clone(), time);
        assert!(before <= Some(time), "back in time: {event}");
        match kind.as_str() {
            "X" => {
                let end = time + nanoseconds("dur");
                let open = self.open.entry(track.clone()).or_default();
                open.retain(|outer| *outer > time || *outer == end);
                let fits = open.last().is_none_or(|outer| end <= *outer);
                assert!(fits, "two slices overlap: {event}");
                open.push(end);
                self.slices.entry(track).or_default().push((time, end));
            }
            "s" | "f" => {
                let id = event["id"].as_u64().unwrap();
                self.flows.entry(id).or_default().push((kind, time, track));
            }
            "C" => {
                let items = event["args"]["items"].as_i64().unwrap();
                assert!(items >= 0, "{event}");
                self.counts.insert(event["name"].to_string(), items);
            }
            "i" => assert!(["t", "p"].contains(&event["s"].as_str().unwrap())),
            other => panic!("{other}"),
        }
    }
}

fn a_picture_is_whole() {
    for (program, _) in PROGRAMS {
        let run = run(program);
        for is_to_scale in [false, true] {
            let choice = Choice {
                is_to_scale,
                ..all()
            };
            let picture = drawing::draw(&run, &choice, "it", "a <title>");
            assert!(!picture.contains("\n\n"), "a page would end it there");
            let is_number = !picture.contains("NaN") && !picture.contains("inf");
            assert!(is_number, "{program}");
            let picture = roxmltree::Document::parse(&picture).unwrap();
            let texts: Vec<_> = picture.descendants().filter_map(|it| it.text()).collect();
            assert!(texts.contains(&"a <title>"));
            for process in &run.processes {
                assert!(texts.contains(&&*process.name), "{}", process.name);
            }
        }
    }
    let nothing = drawing::draw(&Run::default(), &Choice::default(), "it", "nothing");
    roxmltree::Document::parse(&nothing).unwrap();
}

/// By where it is in the picture.
fn a_picture_shows_who_waits_for_whom() {
    let run = run("turns");
    let picture = drawing::draw(&run, &all(), "it", "it");
    let picture = roxmltree::Document::parse(&picture).unwrap();
    let of = |node: &roxmltree::Node, key: &str| node.attribute(key).unwrap().to_owned();
    let number = |node: &roxmltree::Node, key: &str| of(node, key).parse::<f64>().unwrap();
    let find = |is: &dyn Fn(&roxmltree::Node) -> bool| picture.descendants().find(is).unwrap();
    let text = |text: &'static str| find(&move |it| it.text() == Some(text));
    let (first, second) = (number(&text("first"), "y"), number(&text("second"), "y"));
    // In whose row a point is.
    let row = |y: f64| match (y > first, y > second) {
        (true, false) => "first",
        (false, true) => "second",
        (true, true) if first > second => "first",
        _ => "second",
    };
    // The label stands in the bar.
    let bar = |label: &'static str| {
        let at = number(&text(label), "x");
        let (from, to) = (
            |it: &roxmltree::Node| number(it, "x"),
            |it: &roxmltree::Node| number(it, "width"),
        );
        find(&|it| {
            it.has_tag_name("rect")
                && it.attribute("fill-opacity").is_none()
                && number(it, "height") > 15.0
                && from(it) < at
                && at < from(it) + to(it)
                && row(number(it, "y")) == row(number(&text(label), "y"))
        })
    };
    let (one, other) = (bar("5→6"), bar("6→12"));
    assert_eq!(
        [&one, &other].map(|it| row(number(it, "y"))),
        ["first", "second"]
    );
    let numbers = |path: &roxmltree::Node| -> Vec<f64> {
        let path = of(path, "d");
        let parts = path.split(|c: char| !c.is_ascii_digit() && c != '.');
        parts.filter_map(|it| it.parse().ok()).collect()
    };
    let colour = of(&one, "fill");
    let dashed = |it: &roxmltree::Node, dashes: &str| {
        it.attribute("stroke-dasharray") == Some(dashes) && it.attribute("stroke") == Some(&colour)
    };
    // It waits from within the first one's bar to its own.
    let wait = numbers(&find(&|it| dashed(it, "5 3")));
    assert_eq!(row(wait[1]), "second");
    assert!(
        number(&one, "x") < wait[0] && (wait[2] - number(&other, "x")).abs() < 0.2,
        "{wait:?}"
    );
    let arrow = numbers(&find(&|it| dashed(it, "3 3")));
    assert_eq!([row(arrow[1]), row(arrow[3])], ["first", "second"]);
    let end = number(&one, "x") + number(&one, "width");
    assert!(
        (arrow[0] - end).abs() < 0.2 && (arrow[2] - number(&other, "x")).abs() < 0.2,
        "{arrow:?}"
    );
}

fn a_picture_shows_what_is_chosen() {
    let run = run("turns");
    let with = |change: fn(&mut Choice)| {
        let mut choice = all();
        change(&mut choice);
        sentences(&run, &choice)
    };
    let whole = with(|_| {});
    let hidden = with(|choice| choice.hidden = vec!["value".into()]);
    assert!(hidden.iter().all(|it| !it.contains("value")) && !hidden.is_empty());
    let until = with(|choice| choice.until = Some("first".into()));
    assert!(until.iter().any(|it| it == "first ends."), "{until:#?}");
    assert!(until.len() < whole.len());
    assert!(with(|choice| choice.steps = 0).is_empty());
    assert!(with(|choice| choice.skip = Some(10_000)).is_empty());
    let picture = |steps| drawing::draw(&run, &Choice { steps, ..all() }, "it", "it");
    assert!(picture(5).contains(">shown: 5 of "));
    assert!(!picture(usize::MAX).contains("shown: "));
}

fn a_long_run_is_shown_where_most_happens() {
    let run = run("market");
    let shown = |skip| {
        let choice = Choice {
            steps: 30,
            skip,
            ..Choice::default()
        };
        View::of(&run, &choice).arrows.len()
    };
    let others = (0..).step_by(7).take(60).map(|skip| shown(Some(skip)));
    let best = others.max().unwrap();
    let found = shown(None);
    assert!(found >= best && best > 0, "{found} of {best}");
    assert_eq!(shown(Some(0)), 0);
}

fn an_item_is_shown_though_its_other_end_is_not() {
    let run = run("market");
    for skip in (0..300).step_by(15) {
        let choice = Choice {
            steps: 15,
            skip: Some(skip),
            ..Choice::default()
        };
        let view = View::of(&run, &choice);
        let items = || {
            let items = run.arrows.iter();
            items.filter(|arrow| matches!(arrow.what, Going::Item(_)))
        };
        let left = items().filter(|it| view.shows(it.from.at) && !view.shows(it.to.at));
        let came = items().filter(|it| view.shows(it.to.at));
        let (left, came) = (left.count(), came.count());
        let told = sentences(&run, &choice);
        let told = told.iter().filter(|it| it.contains(" gets what "));
        assert_eq!(told.count(), came);
        let picture = drawing::draw(&run, &choice, "it", "it");
        let picture = roxmltree::Document::parse(&picture).unwrap();
        let has = |node: &roxmltree::Node, key, value| node.attribute(key) == Some(value);
        let drawn = picture
            .descendants()
            .filter(|it| has(it, "stroke-opacity", "0.9"));
        assert_eq!(drawn.clone().count(), left + came);
        let heads = drawn.filter(|it| it.has_attribute("marker-end"));
        assert_eq!(heads.count(), came);
    }
}

fn timeline(arguments: &[&str]) -> testing::Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_timeline"));
    command.args(arguments);
    Program::start(command).wait()
}

fn the_command_writes_its_files() {
    let folder = tempfile::tempdir().unwrap();
    let record = folder.path().join("run.trace");
    let output = Program::start(recorded("turns", &record)).wait();
    assert!(output.status.success());
    let output = timeline(&[record.to_str().unwrap(), "--words"]);
    assert!(output.status.success() && output.stderr.is_empty());
    assert!(output.stdout.contains("\nsecond leaves 12 in the value.\n"));
    let files: Vec<_> = output.stdout.lines().rev().take(2).collect();
    let name = |ending| record.with_extension(ending).display().to_string();
    assert_eq!(files[1], format!("{}: for a browser", name("svg")));
    assert_eq!(
        files[0],
        format!("{}: for https://ui.perfetto.dev", name("json"))
    );
    let file = |ending| fs::read_to_string(record.with_extension(ending)).unwrap();
    roxmltree::Document::parse(&file("svg")).unwrap();
    serde_json::from_str::<Json>(&file("json")).unwrap();

    let mut small = recorded("market", &record);
    small.env("MP_TRACE_EVENTS", "100");
    assert!(Program::start(small).wait().status.success());
    let output = timeline(&[record.to_str().unwrap()]);
    let told = " events have found no room: run it with MP_TRACE_EVENTS=";
    assert!(output.stdout.contains(told), "{}", output.stdout);
}

fn the_command_says_what_to_do() {
    for name in ["/nowhere/run.trace", "/dev/null", "/proc/self/exe"] {
        let output = timeline(&[name]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let start = format!("Error: {name}: name a file that MP_TRACE has made, as in ");
        assert!(output.stderr.starts_with(&start), "{}", output.stderr);
    }
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    nix::unistd::mkfifo(path("pipe").as_str(), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let refused = |arguments: &[&str], told: &str| {
        let output = timeline(arguments);
        assert_ne!(output.status.code(), Some(0), "{output:?}");
        assert!(output.stderr.contains(told), "{}", output.stderr);
    };
    refused(&[&path("pipe")], "name a file that MP_TRACE has made");
    for name in ["run.svg", "run.json"] {
        let record = path(name);
        let output = Program::start(recorded("turns", record.as_ref())).wait();
        assert!(output.status.success());
        let before = fs::read(&record).unwrap();
        refused(&[&record], "give the record another name");
        assert!(fs::read(&record).unwrap() == before);
    }
    let record = path("run.trace");
    fs::rename(path("run.svg"), &record).unwrap();
    refused(&[&record, "--steps=0"], "0 is not in 1..");
    let told = "no process has this name, but [\"main\", \"";
    refused(&[&record, "--until=third"], told);
    fs::create_dir(path("run.svg")).unwrap();
    refused(&[&record], "run.svg");
}
