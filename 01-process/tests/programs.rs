//! What the chapter's programs print.

use std::path::PathBuf;
use std::process::Command;
use std::{env, fs, process};

use testing::{
    Program, any_order_then, assert_output, can_use, exact, example, examples, interrupt,
    into_broken_pipe, masked, per_process, python, run,
};

#[test]
fn main_program() {
    let output = run(env!("CARGO_BIN_EXE_01-process")).success();
    assert_output!(any_order_then(1, output));
}

/// What the system is asked for, of each process in its order: the first, then its children in the
/// order in which it has started them.
#[test]
fn system_calls() {
    if !can_use("strace", &["true"]) {
        return;
    }
    let folder = env::temp_dir().join(format!("system-calls-{}", process::id()));
    fs::create_dir(&folder).expect("a folder is made");
    let mut strace = Command::new("strace");
    let calls = "trace=/clone.*,prctl,getppid,write,waitid,exit_group";
    strace
        .args(["-ff", "-e", calls, "-o"])
        .arg(folder.join("of"));
    strace.arg(env!("CARGO_BIN_EXE_01-process"));
    Program::start(strace).wait();
    let files = fs::read_dir(&folder).expect("it can be read");
    let mut traces: Vec<String> = files
        .map(|file| fs::read_to_string(file.expect("a file").path()).expect("it can be read"))
        .collect();
    fs::remove_dir_all(&folder).expect("it is removed");
    // The first process alone starts others; the rest say their names.
    traces.sort_by_key(|trace| (!trace.contains("clone"), trace.find("worker 2").is_some()));
    let names = ["main", "worker 1", "worker 2"];
    assert_eq!(traces.len(), names.len());
    let lines = names.iter().zip(&traces).flat_map(|(name, trace)| {
        let calls = trace.lines().filter_map(shortened);
        calls.map(move |call| format!("{name:8}  {call}\n"))
    });
    let lines: String = lines.collect();
    let lines = masked("getppid() = ", "[pid]", per_process(1, lines));
    assert_output!(masked("SIGCHLD, ...) = ", "[pid]", lines));
}

/// A call without what is told nowhere, or differs; `None` of one that was in vain.
fn shortened(line: &str) -> Option<String> {
    let (call, result) = line.rsplit_once(" = ").unwrap_or((line, ""));
    let words: Vec<&str> = line.split(['(', ' ', ',']).collect();
    let name = words[0];
    Some(match name {
        "---" => return None, // that a child has ended is told by a signal, too
        // Which may interrupt a call, that is then made once more.
        _ if result.contains("ERESTART") => return None,
        _ if name.starts_with("clone") => format!("{name}(..., SIGCHLD, ...) = {result}"),
        "waitid" if !call.contains("CLD_EXITED") => return None,
        "waitid" => format!("waitid(P_PIDFD, ..., si_status=0, ...) = {result}"),
        "getppid" => format!("getppid() = {result}"),
        _ if result.is_empty() => line.to_owned(),
        _ => format!("{} = {result}", call.trim_end()),
    })
}

#[test]
fn exec() {
    assert_output!(exact(run(example("exec")).success()));
}

#[test]
fn zombie() {
    assert_output!(exact(run(example("zombie")).success()));
}

#[test]
fn orphan() {
    assert_output!(exact(run(example("orphan")).success()));
}

#[test]
fn buffered_twice() {
    assert_output!(exact(run(example("buffered_twice")).success()));
}

#[test]
fn dropped_twice() {
    assert_output!(exact(run(example("dropped_twice")).success()));
}

#[test]
fn fork_with_threads() {
    assert_output!(exact(run(example("fork_with_threads")).success()));
}

/// Two of its children complain, on purpose.
#[test]
fn how_it_ended() {
    let output = run(example("how_it_ended"));
    assert!(output.status.success(), "{}", output.stderr);
    for complaint in [
        "process \"fails\" failed: no such",
        "process \"panics\" panicked",
    ] {
        assert!(output.stderr.contains(complaint), "{}", output.stderr);
    }
    assert_output!(exact(output.stdout));
}

#[test]
fn time_limit() {
    assert_output!(exact(run(example("time_limit")).success()));
}

#[test]
fn exec_in_child() {
    assert_output!(exact(run(example("exec_in_child")).success()));
}

#[test]
fn own_copy() {
    assert_output!(exact(run(example("own_copy")).success()));
}

#[test]
fn closures() {
    assert_output!(exact(run(example("closures")).success()));
}

#[test]
fn borrow() {
    assert_output!(exact(run(example("borrow")).success()));
}

#[test]
fn errors() {
    assert_output!(exact(run(example("errors")).success()));
}

#[test]
fn scopes() {
    assert_output!(exact(run(example("scopes")).success()));
}

#[test]
fn send() {
    assert_output!(exact(run(example("send")).success()));
}

#[test]
fn python_closures() {
    if let Some(output) = python("closures") {
        assert_output!("closures", exact(output.success()));
    }
}

#[test]
fn python_borrow() {
    if let Some(output) = python("borrow") {
        assert_output!("borrow", exact(output.success()));
    }
}

#[test]
fn python_errors() {
    if let Some(output) = python("errors") {
        assert_output!("errors", exact(output.success()));
    }
}

#[test]
fn python_scopes() {
    if let Some(output) = python("scopes") {
        assert_output!("scopes", exact(output.success()));
    }
}

#[test]
fn python_send() {
    if let Some(output) = python("send") {
        assert_output!("send", exact(output.success()));
    }
}

#[test]
fn python_main_program() {
    if let Some(output) = python("process") {
        assert_output!("main_program", any_order_then(1, output.success()));
    }
}

#[test]
fn python_buffered_twice() {
    if let Some(output) = python("buffered_twice") {
        assert_output!("buffered_twice", exact(output.success()));
    }
}

#[test]
fn python_own_copy() {
    if let Some(output) = python("own_copy") {
        assert_output!("own_copy", exact(output.success()));
    }
}

#[test]
fn python_orphan() {
    if let Some(output) = python("orphan") {
        assert_output!(exact(output.success()));
    }
}

#[test]
fn python_fork_with_threads() {
    if let Some(output) = python("fork_with_threads") {
        assert_output!(exact(output.success()));
    }
}

#[test]
fn ctrl_c_ends_them() {
    interrupt(env!("CARGO_BIN_EXE_01-process"));
    let complains = |it: &PathBuf| it.ends_with("how_it_ended");
    let examples = examples().into_iter().filter(|it| !complains(it));
    examples.for_each(interrupt);
}

/// But for one that complains, and for those that show Rust itself.
#[test]
fn a_broken_pipe_ends_them() {
    const OTHERS: [&str; 6] = [
        "how_it_ended",
        "closures",
        "borrow",
        "errors",
        "scopes",
        "send",
    ];
    into_broken_pipe(env!("CARGO_BIN_EXE_01-process"));
    let is_other = |it: &PathBuf| OTHERS.iter().any(|other| it.ends_with(other));
    let examples = examples().into_iter().filter(|it| !is_other(it));
    examples.for_each(into_broken_pipe);
}
