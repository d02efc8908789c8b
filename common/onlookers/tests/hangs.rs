//! What the system's own tools say of a program that hangs.

#![allow(clippy::unwrap_used, missing_docs)]

use std::fs;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use common::Onlooker;
use common::trace::Act;
use onlookers::run::{Doing, Going, Run};
use testing::{Program, assert_output, can_use, exact, example, masked, run};

const PATIENCE: Duration = Duration::from_secs(30);

/// The shop, when all of it waits, and its children.
fn shop() -> (Program, Vec<u32>) {
    let shop = Program::start(Command::new(example("shop")));
    eventually(|| {
        let mut onlooker = Onlooker::of(shop.pid()).ok()?;
        sleep(Duration::from_millis(50));
        let seen = onlooker.look().to_string();
        seen.starts_with("4 of 4").then_some(())
    });
    let pid = shop.pid();
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    let children = children.split_whitespace().map(|pid| pid.parse().unwrap());
    (shop, children.collect())
}

/// Asks again and again: who waits is awake for a moment, ten times a second.
#[track_caller]
fn eventually<T>(mut ask: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(start.elapsed() < PATIENCE, "never");
        sleep(Duration::from_millis(5));
    }
}

#[test]
fn the_shop_mended() {
    assert_output!(exact(run(example("shop_mended")).success()));
}

/// As the picture shows it.
#[test]
fn its_story() {
    let run = Run::until_still(Command::new(example("shop"))).unwrap();
    let of = |name: &str| run.processes.iter().position(|it| it.name == name).unwrap();
    let [("clerk", till, Some(0), None)] = run.holds("value")[..] else {
        panic!("{:?}", run.holds("value"))
    };
    let items = run.arrows.iter();
    let items = items.filter(|arrow| matches!(arrow.what, Going::Item(_)));
    let ways: Vec<_> = items.map(|it| (it.from.process, it.to.process)).collect();
    assert_eq!(
        ways,
        [(of("guest"), of("clerk")), (of("clerk"), of("guest"))]
    );
    let is_never_done = |act: Act, name: &str| {
        let mut acts = run
            .acts()
            .filter(|bar| bar.process == of(name) && bar.is_wait());
        let never = acts.find(|bar| matches!(bar.doing, Doing::Act { outcome: None, .. }));
        let bar = never.unwrap();
        assert!(matches!(bar.doing, Doing::Act { act: it, .. } if it == act));
        bar
    };
    is_never_done(Act::Join, "main");
    is_never_done(Act::Get, "clerk");
    let wait = is_never_done(Act::Lock, "guest");
    assert_eq!(wait.object(), Some(till));
    assert_eq!(run.holder(till, wait.from), Some(of("clerk")));
    let mut clerks = run.bars.iter().filter(|bar| bar.process == of("clerk"));
    // After the act of taking it.
    let second = clerks.nth(1).unwrap();
    let is_till = matches!(second.doing, Doing::Hold { object, .. } if object == till);
    assert!(is_till, "its day begins with the till");
}

#[test]
fn all_sleep() {
    if !can_use("ps", &["--version"]) {
        return;
    }
    let (shop, _) = shop();
    let pid = shop.pid().to_string();
    let listed = eventually(|| {
        let mut ps = Command::new("ps");
        ps.args(["-o", "state,comm", "--pid", &pid, "--ppid", &pid]);
        let listed = Program::start(ps).wait().success();
        (!listed.contains("\nR ")).then_some(listed)
    });
    assert_output!(exact(listed));
}

#[test]
fn in_which_system_call() {
    let (shop, children) = shop();
    let is_in = |pid: u32, call: libc::c_long| {
        eventually(|| {
            let line = fs::read_to_string(format!("/proc/{pid}/syscall")).ok()?;
            (line.split(' ').next()? == call.to_string()).then_some(())
        });
    };
    for &child in &children {
        is_in(child, libc::SYS_futex);
    }
    #[cfg(target_arch = "x86_64")]
    let (poll, numbers) = (libc::SYS_poll, (7, 202)); // as the page has it
    #[cfg(not(target_arch = "x86_64"))]
    let (poll, numbers) = (libc::SYS_ppoll, (libc::SYS_ppoll, libc::SYS_futex));
    is_in(shop.pid(), poll);
    assert_eq!((poll, libc::SYS_futex), numbers);
}

#[test]
fn what_it_does_all_the_time() {
    if !can_use("strace", &["true"]) {
        return;
    }
    let (_shop, children) = shop();
    let call = eventually(|| {
        let mut strace = Command::new("timeout");
        strace.args(["1", "strace", "-e", "futex", "-p", &children[0].to_string()]);
        let seen = Program::start(strace).wait().stderr;
        let is_call = |line: &&str| line.contains("ETIMEDOUT") && line.starts_with("futex(");
        seen.lines().find(is_call).map(str::to_owned)
    });
    let call = masked("futex(", "[address]", format!("{call}\n"));
    assert_output!(masked("FUTEX_WAIT, ", "[number]", call));
}

#[test]
fn where_it_is() {
    let itself = ["--batch", "-ex", "run", "--args", "true"];
    if !can_use("gdb", &itself) {
        return;
    }
    let (_shop, children) = shop();
    let mut gdb = Command::new("gdb");
    gdb.args(["--batch", "-ex", "bt", "-p", &children[0].to_string()]);
    let seen = Program::start(gdb).wait().stdout;
    let places = seen.lines().filter_map(|line| line.rsplit_once(" at "));
    let places = places.filter(|(_, place)| place.contains("shop.rs:"));
    let places = places.map(|(_, place)| format!("{place}\n"));
    assert_output!(exact(places.collect::<String>()));
}
