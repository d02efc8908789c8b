//! What the programs print, and that they leave nothing: no process, no server, no folder.

mod helpers;

use std::process::Command;
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;
use testing::{
    Claim, any_order_then, assert_output, exact, example, into_broken_pipe_command, masked,
};

use helpers::{Run, countdown, until};

fn bin(name: &str) -> Command {
    Command::new(match name {
        "up" => env!("CARGO_BIN_EXE_up"),
        "process" => env!("CARGO_BIN_EXE_process"),
        "queue" => env!("CARGO_BIN_EXE_queue"),
        "callback" => env!("CARGO_BIN_EXE_callback"),
        _ => env!("CARGO_BIN_EXE_pool"),
    })
}

fn success(command: Command) -> String {
    Run::start(command).wait().success()
}

#[test]
fn process() {
    let output = success(bin("process"));
    for worker in ["worker 1 ", "worker 2 ", "worker 3 "] {
        let first = output.lines().find(|line| line.starts_with(worker));
        let first = first.and_then(|line| line.strip_prefix(worker));
        assert_eq!(first, Some("is there"), "{output}");
    }
    // The first one may have ended before another has come.
    let begins = |line: &&str| line.ends_with(" starting...\n") || line.ends_with(" is there\n");
    let (here, rest): (Vec<_>, Vec<_>) = output.split_inclusive('\n').partition(begins);
    assert_output!(any_order_then(5, here.concat() + &rest.concat()));
}

#[test]
fn queue() {
    let output = success(bin("queue"));
    let counts: Vec<u32> = output
        .lines()
        .filter_map(|line| line.split_once(" counted ")?.1.strip_suffix(" items."))
        .filter_map(|number| number.parse().ok())
        .collect();
    assert_eq!(counts.iter().sum::<u32>(), 2000, "{output}");
    assert_output!(masked(
        "consumer 1 counted ",
        "[number]",
        masked_second(&output)
    ));
}

fn masked_second(output: &str) -> String {
    masked("consumer 2 counted ", "[number]", output)
        .text()
        .to_owned()
}

#[test]
fn callback() {
    assert_output!(exact(success(bin("callback"))));
}

#[test]
fn pool() {
    // Once more where a task was done twice, as its worker was slow: then they count further.
    let outputs = (0..3).map(|_| success(bin("pool")));
    let mut whole = outputs.inspect(|output| assert!(countdown(output) <= -30, "{output}"));
    let output = whole.find(|output| countdown(output) == -30);
    let output = output.expect("three times a task was done twice");
    let mut results = output
        .lines()
        .filter_map(|line| line.strip_prefix("result: "));
    assert!(
        results.any(|result| result == "-30"),
        "one subtracts last: {output}"
    );
    assert_output!(masked("result: ", "[value]", output));
}

#[test]
fn outcomes() {
    let output = success(Command::new(example("outcomes")));
    let runs = output.lines().find_map(|line| line.strip_prefix("runs: "));
    let runs: Option<u32> = runs.and_then(|runs| runs.parse().ok());
    // Once each, and to five workers and the one that gives it up; more, if a worker is taken for
    // dead that was only slow.
    assert!(runs >= Some(4 + 2 * 6), "{output}");
    assert_output!(masked("runs: ", "[number]", output));
}

#[test]
fn updates() {
    assert_output!(exact(success(Command::new(example("updates")))));
}

#[test]
fn mandelbrot() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let file = folder.path().join("picture.png");
    let mut command = Command::new(example("mandelbrot"));
    command
        .args(["--workers=2", "--width=64", "--height=48", "--output"])
        .arg(&file);
    let output = success(command);

    let (workers, others): (Vec<_>, Vec<_>) = output
        .split_inclusive('\n')
        .partition(|line| line.ends_with(" rows\n"));
    let rows = |line: &&str| line.split_whitespace().nth_back(1)?.parse::<u32>().ok();
    let sum: Option<u32> = workers.iter().map(rows).sum();
    assert_eq!(sum, Some(48), "each row was done once: {output}");
    assert!(
        std::fs::metadata(file).is_ok_and(|file| file.len() > 1000),
        "there is a picture"
    );
    let output = masked("painted in ", "[time]", others.concat());
    assert_output!(masked("It is in ", "[file]", output));
}

#[test]
fn backpressure() {
    let output = success(Command::new(example("backpressure")));
    let peaks: Vec<u32> = output
        .lines()
        .filter_map(|line| line.split_once("peak in MB: ")?.1.parse().ok())
        .collect();
    assert!(
        peaks.len() == 2 && peaks.iter().all(|peak| *peak < 50),
        "{output}"
    );
    assert_output!(any_order_then(
        1,
        masked("peak in MB: ", "[number]", output)
    ));
}

/// A thousand tasks, and every 200 ms a worker is killed.
#[test]
fn storm() {
    let output = success(Command::new(example("storm")));
    let number = |before: &str| -> u32 {
        let mut numbers = output
            .lines()
            .filter_map(|line| line.strip_prefix(before)?.parse().ok());
        numbers
            .next()
            .unwrap_or_else(|| panic!("no {before}in {output}"))
    };
    assert!(number("killed workers: ") >= 10, "{output}");
    assert!((1000..1500).contains(&number("runs: ")), "{output}");
    let killed = masked("killed workers: ", "[number]", &*output);
    assert_output!(also_masked("runs: ", killed));
}

fn also_masked(before: &str, claim: Claim) -> Claim {
    masked(before, "[number]", claim)
}

#[test]
fn up_ends_with_ctrl_c() {
    for signal in [Signal::SIGINT, Signal::SIGKILL] {
        let up = Run::start(bin("up"));
        until("it says how to reach it", || {
            up.printed().contains("nats://cluster:")
        });
        assert!(
            up.printed().contains("@127.0.0.1:"),
            "on loopback: {}",
            up.printed()
        );
        up.signal(signal);
        let output = up.wait();
        assert!(!output.status.success(), "{output:?}");
    }
}

#[test]
fn a_broken_pipe_ends_it() {
    into_broken_pipe_command(|| bin("pool"));
}

#[test]
fn ctrl_c_ends_them_in_the_middle() {
    for name in ["process", "queue", "callback", "pool"] {
        for part in 0..4 {
            let run = Run::start(bin(name));
            thread::sleep(Duration::from_millis(80 * part)); // another moment each time
            run.signal(Signal::SIGINT);
            let output = run.wait();
            assert!(output.stderr.lines().count() <= 1, "{name}: {output:?}");
        }
    }
}
