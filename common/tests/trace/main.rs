//! What a trace promises to an onlooker, sentence by sentence.

#![allow(clippy::unwrap_used, missing_docs)]

#[macro_use]
#[path = "../harness/mod.rs"]
mod harness;
mod programs;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, Permissions};
use std::io::{Seek, Write};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;
use std::{env, io, mem};

use common::trace::{Act, Event, Hold, ObjectId, Outcome, Side, Then, Trace, What};
use common::{Process, Queue};
use nix::sys::prctl::set_child_subreaper;
use nix::sys::signal::{self, Signal};
use nix::sys::stat::Mode;
use nix::sys::wait::waitpid;
use nix::unistd::{Pid, mkfifo};
use proptest::prelude::*;
use testing::Program;

use harness::{eventually, kill, sleep_for_ever, state, until_asleep, until_gone};
use programs::{ADDITIONS, COUNTERS};

trials![
    a_run_is_written_down,
    an_outcome_is_told,
    two_processes_never_have_a_lock_at_once,
    a_small_number_under_a_lock_is_told,
    an_object_has_one_number_in_all_processes,
    an_item_is_got_under_the_number_that_it_was_put_under,
    a_task_is_told_from_its_submission_to_its_callback,
    a_manager_says_whom_it_serves,
    a_thread_is_told_from_another,
    ends_of_pipes_pools_and_managers_are_told_once,
    a_process_can_be_killed_at_any_moment,
    what_finds_no_room_is_counted,
    a_process_is_held_until_it_is_released,
    who_is_held_counts_as_awake,
    who_is_born_can_be_held,
    a_process_is_killed_at_a_point,
    a_hold_ends_with_its_onlooker,
    a_hold_that_cannot_be_is_refused,
    a_deadlock_is_told_to_the_onlooker,
    another_deadlock_is_no_error_either,
    a_sleeper_says_what_for,
    a_file_has_the_last_run,
    a_file_has_room_for_as_many_events_as_are_asked_for,
    another_program_of_the_family_joins_in,
    a_file_that_is_no_record_is_let_be,
    who_cannot_write_says_so_once,
    any_bytes_can_be_read,
    a_text_ends_where_another_event_begins,
];

fn main() {
    if !programs::run() {
        harness::main(trials());
    }
}

const ROOM: usize = 100_000;
/// Many times the naps of who is looked at.
const A_WHILE: Duration = Duration::from_millis(500);

fn program(name: &str, trace: &Path) -> Command {
    let mut program = Command::new(env::current_exe().unwrap());
    // In short naps, they find out soon.
    program
        .arg(name)
        .env("MP_TRACE", trace)
        .env("MP_ASLEEP", "5");
    program
}

fn start(name: &str, trace: &Trace) -> Program {
    Program::start(program(name, trace.path()))
}

/// The events of a program that ends well.
fn events_of(name: &str) -> Vec<Event> {
    let trace = Trace::in_memory(ROOM).unwrap();
    let output = start(name, &trace).wait();
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{output:?}"
    );
    assert_eq!(trace.dropped(), 0);
    assert!(!trace.is_empty() && trace.len() < ROOM);
    trace.events().collect()
}

/// The pid of the only process with this name.
#[track_caller]
fn pid(events: &[Event], of: &str) -> u32 {
    let born = |event: &Event| matches!(&event.what, What::Born { name, .. } if name == of);
    let mut born = events.iter().filter(|event| born(event));
    let pid = born.next().unwrap_or_else(|| panic!("no {of:?}")).pid;
    assert!(born.next().is_none(), "{of:?} is there twice");
    pid
}

/// What a process has done, in short words.
fn deeds(events: &[Event], pid: u32) -> Vec<String> {
    let deeds = events.iter().filter(|event| event.pid == pid);
    let deeds = deeds.filter_map(|event| match &event.what {
        What::Born { name, .. } => Some(format!("born {name}")),
        What::Ended { status, .. } => Some(format!("its child ended: {status}")),
        What::Made { kind, .. } => Some(format!("made {kind}")),
        What::Before { act, .. } => Some(format!("before {act:?}")),
        What::After { act, outcome, .. } => Some(format!("after {act:?}: {outcome:?}")),
        What::Exits { code } => Some(format!("exits: {code}")),
        What::Serves { client, .. } => Some(format!("serves {client}")),
        What::Close { .. } => Some("close".into()),
        // By chance.
        What::Asleep { .. } | What::Awake => None,
        other => panic!("{other:?}"),
    });
    deeds.collect()
}

/// How often something was done.
fn count(events: &[Event], pid: u32, of: Act, came: Outcome) -> usize {
    let is_one = |event: &&Event| {
        event.pid == pid
            && matches!(event.what, What::After { act, outcome, .. } if act == of && outcome == came)
    };
    events.iter().filter(is_one).count()
}

fn a_run_is_written_down() {
    let events = events_of("greeting");
    let (main, greeter) = (pid(&events, "main"), pid(&events, "greeter"));
    assert_eq!(
        deeds(&events, main),
        [
            "born main",
            "made queue",
            "before Spawn",
            "after Spawn: Done",
            "before Get",
            "after Get: Done",
            "before Join",
            "after Join: Done",
            "its child ended: exit status: 0",
            "close",
        ]
    );
    assert_eq!(
        deeds(&events, greeter),
        ["born greeter", "before Put", "after Put: Done", "exits: 0"]
    );
    let is_child = |event: &Event| matches!(&event.what, What::Born { name, parent } if name == "greeter" && *parent == main);
    assert!(events.iter().any(is_child));
    let ends = |event: &Event| matches!(event.what, What::Ended { pid, .. } if pid == greeter);
    assert!(events.iter().any(ends));
    let spawns = |event: &Event| matches!(event.what, What::After { act: Act::Spawn, item, .. } if item == Some(greeter));
    assert!(events.iter().any(spawns));
    // What was done before something else is before it.
    let place = |pid, side: Side, of: Act| {
        let is_it = |event: &Event| match event.what {
            What::Before { act, .. } => side == Side::Before && act == of,
            What::After { act, .. } => side == Side::After && act == of,
            _ => false,
        };
        events
            .iter()
            .position(|event| event.pid == pid && is_it(event))
    };
    let (put, got) = (Side::Before, Side::After);
    assert!(place(greeter, put, Act::Put) < place(main, got, Act::Get));
    for pid in [main, greeter] {
        let times = events.iter().filter(|event| event.pid == pid);
        assert!(times.is_sorted_by_key(|event| event.time));
    }
    assert!(
        events
            .iter()
            .all(|event| event.time < Duration::from_secs(60))
    );
}

fn an_outcome_is_told() {
    let events = events_of("outcomes");
    let told = events.iter().filter_map(|event| match event.what {
        What::After {
            act,
            limited,
            outcome,
            ..
        } => Some((act, limited, outcome)),
        _ => None,
    });
    let mut told: Vec<_> = told.collect();
    told.dedup();
    use Outcome::*;
    assert_eq!(
        told,
        [
            (Act::Get, true, TimedOut),
            (Act::Put, true, Done),
            (Act::Put, true, TimedOut),
            (Act::Put, false, Closed),
            (Act::Get, false, Done),
            (Act::Get, false, Closed),
            (Act::Lock, false, Done),
            (Act::Lock, true, Failed), // it holds it itself
            (Act::Unlock, false, Done),
        ]
    );
}

fn two_processes_never_have_a_lock_at_once() {
    let events = events_of("counters");
    let (mut holder, mut turns) = (None, BTreeMap::new());
    for event in &events {
        match event.what {
            What::After {
                act: Act::Lock,
                outcome: Outcome::Done,
                ..
            } => {
                assert_eq!(holder.replace(event.pid), None);
                *turns.entry(event.pid).or_insert(0) += 1;
            }
            What::Before {
                act: Act::Unlock, ..
            } => assert_eq!(holder.take(), Some(event.pid)),
            _ => {}
        }
    }
    let main = pid(&events, "main");
    assert_eq!(turns.remove(&main), Some(1));
    assert_eq!(turns.len(), COUNTERS as usize);
    assert!(turns.values().all(|turns| *turns == ADDITIONS), "{turns:?}");
}

/// As it is found, and as it is left.
fn a_small_number_under_a_lock_is_told() {
    let events = events_of("numbers");
    let told = events.iter().filter_map(|event| match event.what {
        What::After {
            act: Act::Lock,
            value,
            ..
        }
        | What::Before {
            act: Act::Unlock,
            value,
            ..
        } => Some(value),
        _ => None,
    });
    let told: Vec<_> = told.collect();
    let (some, none) = (Some, None);
    let integers = [some(-3), some(0), some(7), some(i32::MAX), none, none];
    let others = [none; 4];
    assert_eq!(told, [&integers[..], &others].concat());
}

fn an_object_has_one_number_in_all_processes() {
    let events = events_of("two-locks");
    let made: BTreeMap<ObjectId, _> = events
        .iter()
        .filter_map(|event| match &event.what {
            What::Made {
                object,
                kind,
                place,
            } => Some((*object, (kind.as_str(), place.as_str()))),
            _ => None,
        })
        .collect();
    let [first, second] = made.values().collect::<Vec<_>>()[..] else {
        panic!("{made:?}")
    };
    assert_eq!(first, second, "they are made at one place");
    assert!(
        first.0 == "lock" && first.1.contains("programs.rs:"),
        "{first:?}"
    );
    for name in ["main", "child"] {
        let pid = pid(&events, name);
        let taken = events.iter().filter(|event| event.pid == pid);
        let taken = taken.filter_map(|event| match event.what {
            What::Before {
                act: Act::Lock,
                object,
                limited: false,
                ..
            } => object,
            _ => None,
        });
        assert!(taken.eq(made.keys().copied()), "by {name}");
    }
}

/// Who gets an item takes the lock of the one that has put it.
fn an_item_is_got_under_the_number_that_it_was_put_under() {
    let events = events_of("market");
    let locks = events.iter().filter_map(|event| match &event.what {
        What::Made { object, kind, .. } if kind == "lock" => Some(*object),
        _ => None,
    });
    let sellers = (0..3).map(|number| pid(&events, &format!("seller {number}")));
    let sellers: BTreeMap<_, _> = locks.zip(sellers).collect();
    let (mut put, mut got) = (BTreeMap::new(), BTreeMap::new());
    for event in &events {
        if let What::After {
            act: Act::Put,
            item,
            ..
        } = event.what
        {
            put.insert(item.unwrap(), event.pid);
        }
    }
    assert_eq!(put.len(), 300, "each has a number of its own");
    for event in &events {
        match event.what {
            What::After {
                act: Act::Get,
                item,
                ..
            } => drop(got.insert(event.pid, item.unwrap())),
            What::Before {
                act: Act::Lock,
                object,
                ..
            } => {
                let item = got.remove(&event.pid).unwrap();
                assert_eq!(put[&item], sellers[&object.unwrap()]);
            }
            _ => {}
        }
    }
}

fn a_task_is_told_from_its_submission_to_its_callback() {
    let events = events_of("servants");
    let main = pid(&events, "main");
    let of_tasks = |event: &Event| match event.what {
        What::After {
            act,
            item: Some(item),
            ..
        } if act != Act::Spawn => Some((item, act, event.pid)),
        _ => None,
    };
    let mut tasks: BTreeMap<u32, Vec<(Act, u32)>> = BTreeMap::new();
    for (item, act, pid) in events.iter().filter_map(of_tasks) {
        tasks.entry(item).or_default().push((act, pid));
    }
    assert_eq!(tasks.keys().copied().collect::<Vec<_>>(), [1, 2, 3]);
    for (_, mut deeds) in tasks {
        let worker = deeds.iter().find(|(act, _)| *act == Act::Claim).unwrap().1;
        assert!(worker != main);
        // One worker may be as fast as to claim it before its submission has come back.
        deeds.sort_by_key(|(act, pid)| (*act as u32, *pid != main));
        let both = |act| [(act, main), (act, worker)];
        let all = [both(Act::Put), both(Act::Get)].concat();
        let rest = [(Act::Claim, worker), (Act::Call, main)];
        let some = deeds
            .iter()
            .filter(|it| matches!(it.0, Act::Claim | Act::Call));
        assert!(some.eq(&rest), "{deeds:?}");
        // The parent gets several outcomes at once, and then says so of the first.
        let others = all.iter().filter(|deed| deeds.contains(deed)).count();
        assert!(others >= 3, "{deeds:?}");
    }
}

fn a_manager_says_whom_it_serves() {
    let events = events_of("servants");
    let manager = pid(&events, "manager");
    let workers: BTreeSet<u32> = ["worker 1", "worker 2"]
        .map(|name| pid(&events, name))
        .into();
    let mut served = BTreeMap::new();
    for event in &events {
        if let What::Serves { object, client } = event.what {
            assert_eq!(event.pid, manager);
            assert!(workers.contains(&client), "{client}");
            *served.entry(object).or_insert(0) += 1;
        }
    }
    // Three tasks that get and set, under a lock.
    let made = |of: &str| {
        let made = events.iter().find_map(|event| match &event.what {
            What::Made { object, kind, .. } if kind == of => Some(*object),
            _ => None,
        });
        made.unwrap()
    };
    assert_eq!(served[&made("value of the manager")], 6);
    let lock = served[&made("lock of the manager")];
    assert_eq!(lock, 6, "not each time that a waiter asks who has it");
}

fn a_thread_is_told_from_another() {
    let events = events_of("threads");
    let main = pid(&events, "main");
    assert!(events.iter().all(|event| event.pid == main));
    let threads: BTreeSet<u32> = events.iter().map(|event| event.thread).collect();
    assert!(threads.len() == 3 && threads.contains(&main), "{threads:?}");
    for thread in threads.into_iter().filter(|thread| *thread != main) {
        let own: Vec<_> = events
            .iter()
            .filter(|it| it.thread == thread)
            .cloned()
            .collect();
        assert_eq!(count(&own, main, Act::Lock, Outcome::Done), 10);
    }
}

fn ends_of_pipes_pools_and_managers_are_told_once() {
    let events = events_of("sides");
    for name in ["main", "speller"] {
        let pid = pid(&events, name);
        for act in [Act::Put, Act::Get] {
            assert_eq!(
                count(&events, pid, act, Outcome::Done),
                1,
                "{name}: {act:?}"
            );
            assert_eq!(
                count(&events, pid, act, Outcome::TimedOut),
                0,
                "{name}: {act:?}"
            );
        }
    }
    let events = events_of("servants");
    let made = events.iter().filter_map(|event| match &event.what {
        What::Made { object, kind, .. } => Some((kind.as_str(), *object)),
        _ => None,
    });
    let made: BTreeMap<_, _> = made.collect();
    // By all processes together.
    let done = |of: Act, with: &str| {
        let with = made[with];
        let is_one = |event: &&Event| {
            matches!(event.what, What::After { act, object, outcome, .. }
                if act == of && object == Some(with) && outcome == Outcome::Done)
        };
        events.iter().filter(is_one).count()
    };
    for act in [Act::Lock, Act::Unlock] {
        assert_eq!(done(act, "lock of the manager"), 3);
    }
    for act in [Act::Put, Act::Get] {
        assert_eq!(done(act, "value of the manager"), 3);
    }
    let (tasks, results) = ("task queue of the pool", "result queue of the pool");
    assert!(done(Act::Put, tasks) > 0 && done(Act::Put, results) > 0);
    assert_eq!(done(Act::Put, tasks), done(Act::Get, tasks));
}

/// A hundred times, wherever it just was.
fn a_process_can_be_killed_at_any_moment() {
    let trace = Trace::in_memory(1 << 22).unwrap();
    let output = start("restless", &trace).wait();
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{output:?}"
    );
    let events: Vec<_> = trace.events().collect();
    let main = pid(&events, "main");
    let killed = |event: &&Event| match event.what {
        What::Ended { status, .. } => status.signal() == Some(Signal::SIGKILL as i32),
        _ => false,
    };
    assert_eq!(events.iter().filter(killed).count(), 100);
    assert_eq!(count(&events, main, Act::Spawn, Outcome::Done), 100);
    assert_eq!(trace.dropped(), 0);
    // Each did one thing after the other, up to its end.
    let children: BTreeSet<u32> = events.iter().map(|event| event.pid).collect();
    assert_eq!(children.len(), 101);
    for pid in children.into_iter().filter(|pid| *pid != main) {
        let deeds = deeds(&events, pid);
        assert_eq!(deeds[0], "born restless");
        let round = [
            "before Lock",
            "after Lock: Done",
            "before Unlock",
            "after Unlock: Done",
            "before Put",
            "after Put: Done",
            "before Get",
            "after Get: Done",
            "made lock",
        ];
        let all = round.iter().cycle();
        assert!(
            deeds[1..]
                .iter()
                .zip(all)
                .all(|(deed, round)| deed == round),
            "{deeds:?}"
        );
    }
}

fn what_finds_no_room_is_counted() {
    let all = events_of("counters").len();
    let trace = Trace::in_memory(1_000).unwrap();
    let output = start("counters", &trace).wait();
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{output:?}"
    );
    assert_eq!(trace.len(), 1_000);
    let sleeps = |event: &Event| matches!(event.what, What::Asleep { .. } | What::Awake);
    let seen = trace.events().filter(|event| !sleeps(event)).count();
    // The locks' events, the same in each run, but for sleeps.
    let there = seen + trace.dropped() as usize;
    assert!(there.abs_diff(all) < 200 && seen > 900, "{there} of {all}");
}

fn hold(process: &str, side: Side, act: Act, nth: u32) -> Hold {
    Hold {
        process: process.into(),
        act,
        side,
        nth,
        then: Then::Stop,
    }
}

/// Waits for the process to be there.
#[track_caller]
fn until_held(trace: &Trace, hold: usize) -> u32 {
    eventually("it is there", || trace.held(hold).is_some());
    trace.held(hold).unwrap()
}

fn a_process_is_held_until_it_is_released() {
    let trace = Trace::in_memory(ROOM).unwrap();
    let other = trace
        .hold(&hold("somebody", Side::Before, Act::Put, 1))
        .unwrap();
    let third = trace
        .hold(&hold("producer", Side::Before, Act::Put, 3))
        .unwrap();
    let second = trace.hold(&hold("main", Side::After, Act::Get, 2)).unwrap();
    let program = start("items", &trace);
    let (producer, main) = (until_held(&trace, third), until_held(&trace, second));
    assert_eq!(main, program.pid());
    let seen = trace.len();
    sleep(A_WHILE);
    assert_eq!(trace.len(), seen, "nothing moves");
    let events: Vec<_> = trace.events().collect();
    assert_eq!(pid(&events, "producer"), producer);
    assert_eq!(count(&events, producer, Act::Put, Outcome::Done), 2);
    assert_eq!(deeds(&events, producer).last().unwrap(), "before Put");
    assert_eq!(deeds(&events, main).last().unwrap(), "after Get: Done");
    trace.release(third);
    trace.release(second);
    assert!(program.wait().status.success());
    assert_eq!(trace.held(third), Some(producer), "it was there");
    assert_eq!(trace.held(other), None);
}

/// And when it is released before, it does not stop.
fn who_is_held_counts_as_awake() {
    let trace = Trace::in_memory(ROOM).unwrap();
    trace.tell_deadlocks();
    let third = trace
        .hold(&hold("producer", Side::Before, Act::Put, 3))
        .unwrap();
    let first = trace
        .hold(&hold("producer", Side::Before, Act::Put, 1))
        .unwrap();
    trace.release(first);
    let program = start("items", &trace);
    until_held(&trace, third);
    eventually("main waits", || {
        let sleeps = |event: Event| matches!(event.what, What::Asleep { .. });
        trace.events().any(sleeps)
    });
    sleep(A_WHILE);
    assert_eq!(trace.deadlock(), None);
    trace.release(third);
    assert!(program.wait().status.success());
    assert_eq!(trace.held(first), None);
}

fn who_is_born_can_be_held() {
    let trace = Trace::in_memory(ROOM).unwrap();
    let born = trace
        .hold(&hold("greeter", Side::After, Act::Spawn, 1))
        .unwrap();
    let program = start("greeting", &trace);
    let greeter = until_held(&trace, born);
    let events: Vec<_> = trace.events().collect();
    assert_eq!(deeds(&events, greeter), ["born greeter"]);
    trace.release(born);
    assert!(program.wait().status.success());
}

fn a_process_is_killed_at_a_point() {
    for (side, what_it_added) in [(Side::After, 1), (Side::Before, 2)] {
        let trace = Trace::in_memory(ROOM).unwrap();
        let act = if side == Side::After {
            Act::Lock
        } else {
            Act::Unlock
        };
        let there = Hold {
            then: Then::Kill,
            ..hold("victim", side, act, 2)
        };
        let there = trace.hold(&there).unwrap();
        let output = start("mourner", &trace).wait().success();
        let lines: Vec<_> = output.lines().collect();
        assert_eq!(lines[0], "signal: 9 (SIGKILL)");
        assert!(lines[1].contains("died while it held the lock"), "{output}");
        assert_eq!(lines[2], what_it_added.to_string());
        let events: Vec<_> = trace.events().collect();
        let victim = pid(&events, "victim");
        assert_eq!(trace.held(there), Some(victim));
        assert_eq!(count(&events, victim, Act::Lock, Outcome::Done), 2);
        assert_eq!(count(&events, victim, Act::Unlock, Outcome::Done), 1);
    }
}

/// A process that nobody else would end if a trial fails.
struct Orphan(u32);

impl Orphan {
    fn pid(&self) -> Pid {
        Pid::from_raw(self.0.cast_signed())
    }
}

impl Drop for Orphan {
    fn drop(&mut self) {
        signal::kill(self.pid(), Signal::SIGKILL).unwrap();
        waitpid(self.pid(), None).unwrap();
    }
}

#[expect(
    clippy::zombie_processes,
    reason = "it becomes a child of this process"
)]
fn a_hold_ends_with_its_onlooker() {
    set_child_subreaper(true).unwrap();
    let pids = Queue::new().unwrap();
    let onlooker = Process::spawn("onlooker", || {
        let trace = Trace::in_memory(ROOM).unwrap();
        let first = trace.hold(&hold("main", Side::After, Act::Get, 1)).unwrap();
        let program = program("greeting", trace.path()).spawn().unwrap();
        until_held(&trace, first);
        pids.put(&program.id()).unwrap();
        sleep_for_ever();
    })
    .unwrap();
    let held = Orphan(pids.get().unwrap());
    kill(onlooker);
    assert!(state(held.0).is_some(), "it outlives its onlooker");
    until_gone(held.0);
    let status = waitpid(held.pid(), None).unwrap();
    mem::forget(held);
    assert!(
        matches!(status, nix::sys::wait::WaitStatus::Exited(_, 0)),
        "{status:?}"
    );
    set_child_subreaper(false).unwrap();
}

fn a_hold_that_cannot_be_is_refused() {
    let trace = Trace::in_memory(ROOM).unwrap();
    let of = |name: &str| trace.hold(&hold(name, Side::Before, Act::Get, 1));
    for name in ["", &"x".repeat(48), "a\0b"] {
        assert_eq!(of(name).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }
    for number in 0..8 {
        assert_eq!(of(&"x".repeat(47)).unwrap(), number);
    }
    assert!(of("main").unwrap_err().to_string().contains("too many"));
    assert_eq!(trace.held(8), None);
    trace.release(8);
    let folder = Folder::new();
    Program::start(program("greeting", &folder.file())).wait();
    let trace = Trace::open(folder.file()).unwrap();
    let refused = trace.hold(&hold("main", Side::Before, Act::Get, 1));
    assert!(refused.unwrap_err().to_string().contains("holds nobody"));
    trace.release(0);
    trace.tell_deadlocks();
}

fn a_deadlock_is_told_to_the_onlooker() {
    let trace = Trace::in_memory(ROOM).unwrap();
    trace.tell_deadlocks();
    let program = start("nobody", &trace);
    eventually("it is told", || trace.deadlock().is_some());
    let story = trace.deadlock().unwrap();
    assert!(
        story.starts_with("nobody can go on: the only living process waits\n"),
        "{story}"
    );
    assert!(
        story.contains("waits for an item in the queue made at "),
        "{story}"
    );
    let seen = trace.len();
    sleep(A_WHILE);
    assert_eq!(trace.len(), seen, "it sleeps on");
    until_asleep(program.pid());
    drop(program);
    // Where nobody asks, the one who waits gets the error.
    let trace = Trace::in_memory(ROOM).unwrap();
    let output = start("nobody", &trace).wait();
    assert!(output.stderr.contains("nobody can go on"), "{output:?}");
    assert_eq!(trace.deadlock(), None);
}

fn another_deadlock_is_no_error_either() {
    let trace = Trace::in_memory(ROOM).unwrap();
    trace.tell_deadlocks();
    let _program = start("circles", &trace);
    eventually("it is told", || trace.deadlock().is_some());
    let story = trace.deadlock().unwrap();
    assert!(
        story.starts_with("2 processes wait for each other\n"),
        "{story}"
    );
    sleep(A_WHILE);
    let events: Vec<_> = trace.events().collect();
    let born = |event: &&Event| matches!(&event.what, What::Born { name, .. } if name == "waits");
    let born: Vec<u32> = events.iter().filter(born).map(|event| event.pid).collect();
    assert_eq!(born.len(), 4);
    born.into_iter().for_each(until_asleep); // so nobody has got an error
    assert_eq!(trace.deadlock(), Some(story), "the first");
}

fn a_sleeper_says_what_for() {
    let trace = Trace::in_memory(ROOM).unwrap();
    let locked = trace
        .hold(&hold("victim", Side::After, Act::Lock, 1))
        .unwrap();
    let program = start("mourner", &trace);
    let victim = until_held(&trace, locked);
    let sleep = || {
        let mut events = trace.events();
        events.find_map(|event| match event.what {
            What::Asleep {
                reason,
                place,
                upon,
            } if event.pid == program.pid() => Some((reason, place, upon)),
            _ => None,
        })
    };
    eventually("main waits", || sleep().is_some());
    let (reason, place, upon) = sleep().unwrap();
    assert_eq!(reason, format!("the end of \"victim\" (pid {victim})"));
    assert!(place.contains("programs.rs:"), "{place}");
    assert_eq!(upon, Some(victim));
    let main = program.pid();
    let is_awake = |trace: &Trace| {
        let mut events = trace.events();
        events.any(|event| event.pid == main && event.what == What::Awake)
    };
    assert!(!is_awake(&trace));
    trace.release(locked);
    program.wait();
    assert!(is_awake(&trace));
}

/// A folder that is deleted.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let folder = env::temp_dir().join(format!("trace-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        Folder(folder)
    }

    fn file(&self) -> PathBuf {
        self.0.join("run.trace")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

fn a_file_has_the_last_run() {
    let folder = Folder::new();
    let run = |name| Program::start(program(name, &folder.file())).wait();
    assert!(run("greeting").status.success());
    let first = Trace::open(folder.file()).unwrap();
    let seen: Vec<_> = first.events().collect();
    pid(&seen, "greeter");
    assert!(run("items").status.success());
    let events: Vec<_> = Trace::open(folder.file()).unwrap().events().collect();
    pid(&events, "main");
    pid(&events, "producer");
    assert!(
        first.events().eq(seen),
        "who looks at an earlier one, goes on to see it"
    );
    assert_eq!(
        fs::read_dir(&folder.0).unwrap().count(),
        1,
        "nothing is left beside it"
    );
    // One that nobody may change can be read.
    fs::set_permissions(folder.file(), Permissions::from_mode(0o400)).unwrap();
    assert!(Trace::open(folder.file()).unwrap().events().eq(events));
}

fn a_file_has_room_for_as_many_events_as_are_asked_for() {
    let folder = Folder::new();
    let run = |room: &str| {
        let mut program = program("counters", &folder.file());
        program.env("MP_TRACE_EVENTS", room);
        let output = Program::start(program).wait();
        assert!(output.status.success(), "{output:?}");
        let trace = Trace::open(folder.file()).unwrap();
        (trace.len(), trace.dropped(), output.stderr)
    };
    let (len, dropped, said) = run("500");
    assert!(
        len == 500 && dropped > 0 && said.is_empty(),
        "{dropped} {said}"
    );
    for room in ["many", "0", "-1", "9999999999"] {
        let (_, dropped, said) = run(room);
        assert_eq!(dropped, 0);
        let start = format!("MP_TRACE_EVENTS is {room:?}: set it to how many events ");
        assert!(
            said.starts_with(&start) && said.lines().count() == 1,
            "{said}"
        );
    }
}

fn another_program_of_the_family_joins_in() {
    let folder = Folder::new();
    let output = Program::start(program("starter", &folder.file())).wait();
    assert!(output.status.success(), "{output:?}");
    let traces = [
        Trace::open(folder.file()).unwrap().events().collect(),
        events_of("starter"),
    ];
    for events in traces {
        let events: Vec<Event> = events;
        let starter = pid(&events, "starter");
        pid(&events, "greeter");
        let deeds = deeds(&events, starter);
        assert_eq!(deeds[..2], ["born starter", "born main"], "in one process");
        let ends = |event: &Event| matches!(event.what, What::Ended { pid, .. } if pid == starter);
        assert!(events.iter().any(ends));
    }
}

/// How a program runs whose trace is there; and what it says.
fn run_complaining(trace: &Path) -> String {
    let output = Program::start(program("crowd", trace)).wait();
    assert!(output.status.success(), "{output:?}");
    output.stderr
}

fn a_file_that_is_no_record_is_let_be() {
    let folder = Folder::new();
    for text in ["notes".to_owned(), "notes".repeat(10_000)] {
        fs::write(folder.file(), &text).unwrap();
        let complaint = run_complaining(&folder.file());
        assert_eq!(
            complaint,
            format!(
                "MP_TRACE is {:?}, but the file is there, and is no record of a run: name a new \
                 file where this program may write one; nothing is recorded now\n",
                folder.file()
            )
        );
        assert_eq!(fs::read_to_string(folder.file()).unwrap(), text);
        assert!(Trace::open(folder.file()).is_err());
    }
}

fn who_cannot_write_says_so_once() {
    let folder = Folder::new();
    let pipe = folder.0.join("pipe");
    mkfifo(&pipe, Mode::S_IRWXU).unwrap();
    for file in [
        "/nowhere/run.trace".as_ref(),
        &*pipe,
        &folder.0,
        "".as_ref(),
    ] {
        let complaint = run_complaining(file);
        let start = format!("MP_TRACE is {file:?}, but ");
        assert!(complaint.starts_with(&start), "{complaint}");
        assert_eq!(complaint.lines().count(), 1, "{complaint}");
    }
    assert!(run_complaining(&pipe).contains(", but it is no file: "));
    Trace::open(folder.file()).unwrap_err();
}

const PLACE: usize = 32;

fn a_text_ends_where_another_event_begins() {
    const ROOM: usize = 100;
    let trace = Trace::in_memory(ROOM).unwrap();
    assert!(start("counters", &trace).wait().status.success());
    let (born, text) = (2, 1);
    let file = File::options().write(true).open(trace.path()).unwrap();
    let base = file.metadata().unwrap().len() - (ROOM * PLACE) as u64;
    let write = |place: usize, first: u8, rest: [u8; PLACE - 1]| {
        let bytes = [&[first][..], &rest].concat();
        let at = base + (place * PLACE) as u64;
        file.write_all_at(&bytes, at).unwrap();
    };
    let name = || {
        let first = trace.events().next().unwrap().what;
        let What::Born { name, .. } = first else {
            panic!("{first:?}")
        };
        name
    };
    // The last four bytes have the length, above the thread. What no length explains, is left out.
    let long = std::array::from_fn(|at| if at < PLACE - 5 { 0 } else { 255 });
    let letters = std::array::from_fn(|at| if at < 3 { 0 } else { b'x' });
    write(0, born, long);
    (1..ROOM).for_each(|place| write(place, text, letters));
    assert_eq!(trace.len(), ROOM);
    assert_eq!(name(), "x".repeat(1000));
    write(2, born, long);
    assert_eq!(name(), "x".repeat(28));
}

/// Wherever they are, the reader takes what they say for an event, or leaves it out.
fn any_bytes_can_be_read() {
    const ROOM: usize = 200;
    let folder = Folder::new();
    let trace = Trace::in_memory(ROOM).unwrap();
    assert!(start("items", &trace).wait().status.success());
    let (good, real) = (fs::read(trace.path()).unwrap(), trace.events().count());
    let written = File::options().write(true).open(trace.path()).unwrap();
    assert!(written.set_len(8).is_err(), "it would end the reader");
    let look = |trace: &Trace| {
        assert!(trace.events().count() <= ROOM);
        assert!(trace.len() <= ROOM);
        let texts = trace.events().map(|event| match event.what {
            What::Born { name, .. } => name.len(),
            What::Made { kind, place, .. } => kind.len() + place.len(),
            What::Asleep { reason, place, .. } => reason.len() + place.len(),
            _ => 0,
        });
        // Three for one that is no UTF-8.
        assert!(texts.max() <= Some(3 * 1000));
        let _ = (trace.dropped(), trace.deadlock());
        let _ = (0..10).filter_map(|hold| trace.held(hold)).max();
        drop(format!("{trace:?}"));
    };
    // At some places, and behind the first word in any of them.
    let patches = prop::collection::vec(
        (8..good.len(), prop::collection::vec(any::<u8>(), 1..40)),
        1..40,
    );
    let kinds = prop::collection::vec((0..ROOM, any::<[u8; 4]>()), 0..20);
    let mut runner = proptest::test_runner::TestRunner::default();
    let base = good.len() - ROOM * PLACE;
    runner
        .run(&(patches, kinds), |(patches, kinds)| {
            written.write_all_at(&good, 0).unwrap();
            for (at, bytes) in patches {
                let end = good.len().min(at + bytes.len());
                written.write_all_at(&bytes[..end - at], at as u64).unwrap();
            }
            for (place, mut bytes) in kinds {
                bytes[0] %= 12;
                bytes[1] %= 8;
                written
                    .write_all_at(&bytes, (base + place * PLACE) as u64)
                    .unwrap();
            }
            look(&trace);
            // And of the same in a file.
            fs::write(folder.file(), fs::read(trace.path()).unwrap()).unwrap();
            if let Ok(copy) = Trace::open(folder.file()) {
                look(&copy);
            }
            Ok(())
        })
        .unwrap();
    // Of any length.
    for length in [0, 1, 8, 100, base, base + 1, base + PLACE, good.len() - 1] {
        let mut file = File::create(folder.file()).unwrap();
        file.write_all(&good[..length]).unwrap();
        file.rewind().unwrap();
        if let Ok(cut) = Trace::open(folder.file()) {
            assert!(cut.events().count() <= real);
        }
    }
}
