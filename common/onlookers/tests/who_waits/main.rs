//! Who waits for whom, from outside: of programs that hang, that go on, and that are no program of
//! this library.

#![allow(clippy::unwrap_used, missing_docs)]

#[macro_use]
#[path = "../../../tests/harness/mod.rs"]
#[allow(unsafe_code, reason = "it sets a signal back")]
mod harness;
mod programs;

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};
use std::{env, io};

use common::{LookError, Onlooker};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid};
use testing::{Output, Program, assert_output, can_use, chain, exact, example, masked};

/// For what must come soon, on a busy machine too.
const PATIENCE: Duration = Duration::from_secs(30);
const NOBODY: u32 = 65534;

trials![
    a_shop_that_hangs,
    any_process_of_the_family_will_do,
    who_goes_on_and_who_is_dead,
    a_circle_with_limits,
    who_holds_several_locks,
    who_is_stopped,
    other_threads,
    who_runs_another_program,
    a_circle_that_another_thread_may_open,
    who_has_ended_long_ago,
    another_wait_has_words_of_its_own,
    another_owner_of_a_lock,
    who_sleeps_again_and_again_goes_on,
    who_naps_within_a_wait_waits_once,
    descriptors_that_were_closed,
    without_a_descriptor,
    with_small_files,
    without_standard_output,
    an_onlooker_keeps_nobody_from_being_told,
    a_table_full_of_nonsense,
    no_process,
    a_zombie,
    no_program_of_this_library,
    switched_off,
    another_user,
    a_protected_process,
    another_pid_namespace,
    to_watch_ends_with_the_family,
];

fn main() {
    if programs::run() {
        return;
    }
    harness::main(trials());
}

/// One of the programs here.
fn program(name: &str) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command.arg(format!("{}{name}", programs::PROGRAM));
    command
}

fn start(name: &str) -> Program {
    Program::start(program(name))
}

fn who_waits(pid: u32) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_who_waits"));
    command.arg(pid.to_string()).env("RUST_BACKTRACE", "0");
    command
}

fn told(command: Command) -> Output {
    Program::start(command).wait()
}

/// Asks again and again until there is an answer.
#[track_caller]
fn eventually<T>(what: &str, mut ask: impl FnMut() -> Result<T, String>) -> T {
    let start = Instant::now();
    loop {
        match ask() {
            Ok(answer) => return answer,
            Err(last) => assert!(start.elapsed() < PATIENCE, "never {what}: {last}"),
        }
        sleep(Duration::from_millis(5));
    }
}

/// Looks until all of this is seen at once.
#[track_caller]
fn look_until(pid: u32, wanted: &[&str]) -> String {
    eventually(&format!("{wanted:?}"), || {
        let mut onlooker = Onlooker::of(pid).map_err(|error| error.to_string())?;
        sleep(Duration::from_millis(50));
        let seen = onlooker.look().to_string();
        match wanted.iter().all(|text| seen.contains(text)) {
            true => Ok(seen),
            false => Err(seen),
        }
    })
}

fn is_table(path: &Path) -> bool {
    fs::read_link(path).is_ok_and(|it| it.to_string_lossy().contains("mp-who-waits"))
}

fn children(pid: u32) -> Vec<u32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    let pids = children.split_whitespace();
    pids.map(|pid| pid.parse().unwrap()).collect()
}

fn signal(pid: u32, signal: Signal) {
    kill(Pid::from_raw(pid.cast_signed()), signal).unwrap();
}

fn a_shop_that_hangs() {
    let shop = Program::start(Command::new(example("shop")));
    look_until(shop.pid(), &["4 of 4 living processes wait"]);
    let seen = told(who_waits(shop.pid())).success();
    // Where it was built from, and for how long.
    let seen = masked("    for ", "[n]", chain(seen));
    assert_output!("shop", seen);
}

fn any_process_of_the_family_will_do() {
    let shop = Program::start(Command::new(example("shop")));
    let wanted = "4 of 4 living processes wait";
    look_until(shop.pid(), &[wanted]);
    let family = children(shop.pid());
    assert_eq!(family.len(), 3);
    for pid in family {
        look_until(pid, &[wanted, &format!("(pid {pid})")]);
    }
}

fn who_goes_on_and_who_is_dead() {
    let program = start("fates");
    let seen = look_until(
        program.pid(),
        &[
            "2 of 4 living processes wait\n",
            "waits for the end of \"runs\"",
            " s, with a limit\n",
            "\n  \"waits\" (pid",
            "\n  \"runs\" (pid",
            " goes on: it runs\n",
            " goes on: it sleeps in another way, or since a moment ago\n",
            " ended: exit status: 3\n",
            " ended: signal: 9 (SIGKILL)\n",
            ") only answers the others\n",
            "\nWho goes on may wake others",
        ],
    );
    // The line of a wait with a limit, too.
    let line = seen
        .lines()
        .find(|line| line.contains("the end of \"runs\""))
        .unwrap();
    assert!(line.contains("who_waits/programs.rs:"), "{seen}");
    assert!(!seen.contains("holds"), "{seen}");
}

fn a_circle_with_limits() {
    let program = start("circle");
    let seen = look_until(program.pid(), &["3 of 3 living processes wait\n"]);
    assert!(seen.contains("They wait in a circle, until a limit has passed: \"left\" (pid"));
    for who in ["left", "right"] {
        let holds = format!(", which {who:?} (pid ");
        assert!(seen.contains(&holds), "{seen}");
    }
    assert_eq!(
        seen.matches("with a limit; it holds the lock made at ")
            .count(),
        2,
        "{seen}"
    );
    let circle = seen.lines().last().unwrap();
    assert!(!circle.contains("main"), "only those in it: {seen}");
}

fn who_holds_several_locks() {
    let program = start("holder");
    let seen = look_until(program.pid(), &["2 of 2 living processes wait\n"]);
    let holds: Vec<_> = seen
        .lines()
        .filter(|line| line.contains("it holds"))
        .collect();
    assert!(
        matches!(holds[..], [line] if line.ends_with(" and 1 more") && line.contains("made at")),
        "{seen}"
    );
    assert!(
        seen.contains("before a limit has passed, of main (pid"),
        "{seen}"
    );
}

fn who_is_stopped() {
    let shop = Program::start(Command::new(example("shop")));
    look_until(shop.pid(), &["4 of 4 living processes wait"]);
    let [clerk, ..] = children(shop.pid())[..] else {
        panic!("no children")
    };
    signal(clerk, Signal::SIGSTOP);
    let seen = look_until(clerk, &["    and it is stopped\n"]);
    assert!(seen.contains("; it holds the value made at"), "{seen}");
    // All of it ends soon after that, as the clerk has the till.
    let mut onlooker = Onlooker::of(shop.pid()).unwrap();
    signal(clerk, Signal::SIGKILL);
    let ended = format!("\"clerk\" (pid {clerk}) ended: signal: 9");
    eventually("it has ended", || match onlooker.look().to_string() {
        seen if seen.contains(&ended) => Ok(()),
        seen => Err(seen),
    });
}

fn other_threads() {
    let program = start("threads");
    let seen = look_until(
        program.pid(),
        &["    and other threads go on, or wait since a moment ago\n"],
    );
    assert!(seen.starts_with("0 of 1 living process wait"), "{seen}");
    let holds = seen.lines().find(|line| line.contains("it holds")).unwrap();
    assert!(
        !holds.contains(" and "),
        "not what another thread holds: {seen}"
    );
    let program = start("many-threads");
    look_until(
        program.pid(),
        &["    and of its other threads nothing is known\n"],
    );
}

/// It may end, for which another waits.
fn who_runs_another_program() {
    let program = start("execs");
    let seen = look_until(
        program.pid(),
        &["2 of 3 living processes wait\n", " runs another program\n"],
    );
    assert!(seen.contains("\nWho goes on may wake others"), "{seen}");
    // The first process, too, when that has ended; the other one has the table still.
    let [execs, waits] = children(program.pid())[..] else {
        panic!("{seen}")
    };
    let files = fs::read_dir(format!("/proc/{execs}/fd")).unwrap();
    let mut files = files.map(|it| it.unwrap().path());
    assert!(!files.any(|path| is_table(&path)), "it has not got it");
    signal(execs, Signal::SIGKILL);
    let wanted = ") has ended, or runs another program\n";
    look_until(waits, &["1 of 2 living", wanted]);
}

fn a_circle_that_another_thread_may_open() {
    for name in ["open-circle", "lock-of-a-third"] {
        let program = start(name);
        let seen = look_until(program.pid(), &["2 of 3 living processes wait\n"]);
        assert!(seen.matches(" waits for the lock").count() >= 2, "{seen}");
        assert!(!seen.contains("circle"), "{seen}");
    }
}

fn who_has_ended_long_ago() {
    let program = start("many");
    let seen = look_until(program.pid(), &["13 of 13 living processes wait\n"]);
    let ended: Vec<_> = seen.lines().filter(|it| it.contains(" ended")).collect();
    assert_eq!(ended.len(), 9, "{seen}");
    assert!(
        ended[0].contains("ended: exit status: 3"),
        "the worst first"
    );
    assert_eq!(ended[8], "  and 12 more have ended");
    let conclusion = seen.lines().last().unwrap();
    assert!(conclusion.ends_with(" and 5 more."), "{conclusion}");
}

fn another_wait_has_words_of_its_own() {
    let program = start("two-waits");
    look_until(
        program.pid(),
        &[" s, with a limit; it holds the lock made at"],
    );
    let seen = look_until(program.pid(), &[") is stopped\n"]);
    assert!(!seen.contains(" waits for "), "{seen}");
    let start = Instant::now();
    signal(program.pid(), Signal::SIGCONT);
    let seen = look_until(program.pid(), &["1 of 1 living process wait\n"]);
    let most = start.elapsed().as_secs();
    let nap = seen.lines().nth(2).unwrap();
    let is_it = |took| nap == format!("    for {took} s, with a limit");
    assert!(
        (0..=most).any(is_it),
        "not since the first wait, nor with its lock: {seen}"
    );
}

/// Who waits did not run while the lock changed hands.
fn another_owner_of_a_lock() {
    let program = start("lock-of-two");
    look_until(
        program.pid(),
        &["main (pid", ") is stopped\n", ", which main (pid"],
    );
    let [waits, _] = children(program.pid())[..] else {
        panic!("two children")
    };
    signal(waits, Signal::SIGSTOP);
    look_until(waits, &["    and it is stopped\n"]);
    signal(program.pid(), Signal::SIGCONT);
    look_until(waits, &["it holds the lock"]);
    signal(waits, Signal::SIGCONT);
    look_until(waits, &[", which \"second\" (pid"]);
}

fn who_sleeps_again_and_again_goes_on() {
    let program = start("restless");
    look_until(program.pid(), &["goes on"]);
    let mut onlooker = Onlooker::of(program.pid()).unwrap();
    // Longer than each of its sleeps, but on a busy machine.
    let mut goes_on = || {
        sleep(Duration::from_millis(350));
        onlooker
            .look()
            .to_string()
            .starts_with("0 of 1 living process wait\n")
    };
    let count = (0..10).filter(|_| goes_on()).count();
    assert!(count >= 7, "{count} of 10");
}

fn who_naps_within_a_wait_waits_once() {
    let program = start("pool");
    let seen = look_until(
        program.pid(),
        &[
            "2 of 3 living processes wait\n",
            "main (pid",
            "in the result queue of the pool",
        ],
    );
    assert_eq!(seen.matches(" waits for ").count(), 2, "{seen}");
}

/// It finds the table by another process of the family.
fn descriptors_that_were_closed() {
    let program = start("closes");
    let seen = look_until(program.pid(), &["2 of 2 living processes wait"]);
    let [child] = children(program.pid())[..] else {
        panic!("{seen}")
    };
    assert_eq!(
        fs::read_dir(format!("/proc/{child}/fd")).unwrap().count(),
        3
    );
    look_until(child, &["2 of 2 living processes wait"]);
}

#[track_caller]
fn has_no_table(name: &str) {
    let program = start(name);
    let pid = program.pid();
    eventually("it stops", || {
        match fs::read_to_string(format!("/proc/{pid}/stat")).unwrap() {
            stat if stat.contains(") T ") => Ok(()),
            stat => Err(stat),
        }
    });
    let refused = Onlooker::of(pid).err().unwrap();
    assert!(matches!(refused, LookError::NoTable { .. }), "{refused}");
    signal(pid, Signal::SIGCONT);
    let output = program.wait();
    assert!(
        output.stderr.contains("nobody can go on: "),
        "{}",
        output.stderr
    );
}

/// It runs, and is told when nobody can go on, but shows it to nobody else.
fn without_a_descriptor() {
    has_no_table("no-descriptor");
}

fn with_small_files() {
    has_no_table("small-files");
}

/// What it prints does not go into the table.
fn without_standard_output() {
    assert!(told(program("no-output")).status.success());
}

fn an_onlooker_keeps_nobody_from_being_told() {
    let program = start("late-deadlock");
    look_until(program.pid(), &["\"waits later\" (pid", "is stopped\n"]);
    let mut onlooker = Onlooker::of(program.pid()).unwrap();
    let [child] = children(program.pid())[..] else {
        panic!("one child")
    };
    signal(child, Signal::SIGCONT);
    let output = program.wait();
    assert!(
        output.stderr.contains("nobody can go on: "),
        "{}",
        output.stderr
    );
    assert!(onlooker.look().are_over());
}

fn a_table_full_of_nonsense() {
    let shop = Program::start(Command::new(example("shop")));
    look_until(shop.pid(), &["4 of 4 living processes wait"]);
    let mut onlooker = Onlooker::of(shop.pid()).unwrap();
    // They trust each other, and would not survive it.
    for pid in [shop.pid()].into_iter().chain(children(shop.pid())) {
        signal(pid, Signal::SIGSTOP);
    }
    let files = fs::read_dir(format!("/proc/{}/fd", shop.pid())).unwrap();
    let mut paths = files.map(|it| it.unwrap().path());
    let path = paths.find(|path| is_table(path)).unwrap();
    let opened = File::options().read(true).write(true).open(path).unwrap();
    let size = opened.metadata().unwrap().len() as usize;
    assert!(opened.set_len(0).is_err(), "nobody can make it shorter");
    assert!(opened.write_all_at(b"x", 0).is_err(), "or write there");
    let maps = fs::read_to_string(format!("/proc/{}/maps", shop.pid())).unwrap();
    let mapping = maps.lines().find(|it| it.contains("mp-who-waits")).unwrap();
    let start = u64::from_str_radix(mapping.split('-').next().unwrap(), 16).unwrap();
    let memory = format!("/proc/{}/mem", shop.pid());
    let memory = File::options().write(true).open(memory).unwrap();
    let write = |bytes: &[u8], at: usize| memory.write_all_at(bytes, start + at as u64).unwrap();
    // A sleeper's words, with what would colour a terminal.
    let mut bytes = vec![0; size];
    opened.read_exact_at(&mut bytes, 0).unwrap();
    let words = b"an item in the queue";
    let is_it = |bytes: &[u8]| bytes == words;
    let place = bytes.windows(words.len()).position(is_it).unwrap();
    write(b"\x1b[31m", place);
    let seen = onlooker.look().to_string();
    assert!(seen.contains("waits for \u{fffd}[31m"), "{seen}");
    let mut state = 1_u64;
    for byte in [Some(0xff), Some(2), None, None] {
        let mut next = || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1);
            (state >> 56) as u8
        };
        // But for the magic number, by which the next look knows it.
        let bytes: Vec<u8> = (8..size).map(|_| byte.unwrap_or_else(&mut next)).collect();
        write(&bytes, 8);
        onlooker.look();
        let seen = onlooker.look().to_string();
        assert!(!seen.contains(|c: char| c.is_control() && c != '\n'));
    }
    write(b"something", 0);
    let refused = |pid| Onlooker::of(pid).err().unwrap();
    let another = refused(shop.pid());
    assert!(
        matches!(another, LookError::AnotherVersion { .. }),
        "{another}"
    );
    write(&[0; 8], 0);
    let unmade = refused(shop.pid());
    assert!(matches!(unmade, LookError::NoTable { .. }), "{unmade}");
}

/// One line of an error, and no more.
#[track_caller]
fn refuses(command: Command, why: &str) {
    let output = told(command);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("", why));
}

fn no_process() {
    for pid in [0, 999_999_999, u32::MAX] {
        refuses(
            who_waits(pid),
            &format!("Error: there is no process {pid}\n"),
        );
    }
}

fn a_zombie() {
    let mut ended = Command::new("true").spawn().unwrap();
    let pid = ended.id();
    eventually("it has ended", || {
        match fs::read_to_string(format!("/proc/{pid}/stat")).unwrap() {
            stat if stat.contains(") Z ") => Ok(()),
            stat => Err(stat),
        }
    });
    let refused = Onlooker::of(pid).err().unwrap();
    assert!(matches!(refused, LookError::Ended { .. }), "{refused}");
    ended.wait().unwrap();
}

fn no_program_of_this_library() {
    let program = Program::start({
        let mut sleeps = Command::new("sleep");
        sleeps.arg("600");
        sleeps
    });
    let refused = told(who_waits(program.pid())).stderr;
    let why = masked("process ", "[pid]", exact(refused));
    assert_output!("no_table", why);
}

fn switched_off() {
    let mut command = Command::new(example("shop"));
    command.env("MP_ASLEEP", "off");
    let shop = Program::start(command);
    eventually("it has begun", || match children(shop.pid()).len() {
        3 => Ok(()),
        other => Err(other.to_string()),
    });
    let why = "was started with MP_ASLEEP=off, so nobody notes who waits in it";
    refuses(
        who_waits(shop.pid()),
        &format!("Error: process {} {why}\n", shop.pid()),
    );
}

/// Another user's command; `None` where this one may not become another, or that one may not read
/// the program.
fn as_nobody(mut command: Command) -> Option<Command> {
    command.uid(NOBODY).gid(NOBODY);
    let mut can_it = Command::new(command.get_program());
    can_it.arg("--help").uid(NOBODY).gid(NOBODY);
    if Uid::effective().is_root() && can_it.output().is_ok_and(|it| it.status.success()) {
        return Some(command);
    }
    drop(writeln!(
        io::stderr(),
        "not run, as it takes root, and a folder that all may read"
    ));
    None
}

fn another_user() {
    let shop = Program::start(Command::new(example("shop")));
    look_until(shop.pid(), &["4 of 4 living processes wait"]);
    if let Some(command) = as_nobody(who_waits(shop.pid())) {
        let why = "is of user 0: ask as that user, or as root";
        refuses(command, &format!("Error: process {} {why}\n", shop.pid()));
    }
}

fn a_protected_process() {
    let Some(protected) = as_nobody(program("protected")) else {
        return;
    };
    let protected = Program::start(protected);
    eventually("it is ready", || {
        match protected.output_so_far(100).unwrap() {
            (stdout, _) if stdout == "ready\n" => Ok(()),
            printed => Err(format!("{printed:?}")),
        }
    });
    let refused = told(as_nobody(who_waits(protected.pid())).unwrap()).stderr;
    assert_output!("forbidden", masked("process ", "[pid]", exact(refused)));
}

/// What has these pids here is somebody else.
fn another_pid_namespace() {
    let alone = ["--fork", "--pid", "--kill-child"];
    if !can_use("unshare", &[&alone[..], &["true"]].concat()) {
        return;
    }
    let mut command = Command::new("unshare");
    command.args(alone).arg(example("shop"));
    let unshare = Program::start(command);
    let [shop] = eventually("it has begun", || {
        <[u32; 1]>::try_from(children(unshare.pid())).map_err(|all| format!("{all:?}"))
    });
    let seen = look_until(shop, &["4 of 4 living processes wait\n"]);
    assert!(seen.contains("main (pid 1) waits for the end of"), "{seen}");
    assert!(
        seen.contains("\nThey are in another pid namespace, whose pids these are.\n"),
        "{seen}"
    );
    let [clerk, ..] = children(shop)[..] else {
        panic!("no children")
    };
    signal(clerk, Signal::SIGSTOP);
    look_until(shop, &["    and it is stopped\n"]);
    let mut onlooker = Onlooker::of(shop).unwrap();
    drop(unshare); // which kills them
    eventually("they have ended", || match onlooker.look() {
        seen if seen.are_over() => Ok(()),
        seen => Err(seen.to_string()),
    });
}

fn to_watch_ends_with_the_family() {
    let shop = Program::start(Command::new(example("shop")));
    look_until(shop.pid(), &["4 of 4 living processes wait"]);
    let mut command = who_waits(shop.pid());
    command.arg("--watch");
    let watch = Program::start(command);
    eventually("it looks twice", || {
        let (stdout, _) = watch.output_so_far(10_000).unwrap();
        match stdout.matches("4 of 4 living").count() {
            2.. => Ok(()),
            _ => Err(stdout),
        }
    });
    drop(shop); // which kills it
    let output = watch.wait();
    assert!(output.status.success(), "{}", output.stderr);
    assert!(
        output.stdout.ends_with("\nAll have ended.\n\n"),
        "{}",
        output.stdout
    );
    assert!(!output.stdout.contains('\u{1b}'), "no terminal");
}
