//! What the chapter's programs print.

use std::path::PathBuf;

use testing::{
    any_order_then, assert_output, exact, example, examples, interrupt, into_broken_pipe, python,
    run,
};

#[test]
fn main_program() {
    let output = run(env!("CARGO_BIN_EXE_01-process")).success();
    assert_output!(any_order_then(1, output));
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

/// The examples that have nothing to complain about.
fn quiet_examples() -> impl Iterator<Item = PathBuf> {
    let examples = examples().into_iter();
    examples.filter(|it| !it.ends_with("how_it_ended"))
}

#[test]
fn ctrl_c_ends_them() {
    interrupt(env!("CARGO_BIN_EXE_01-process"));
    quiet_examples().for_each(interrupt);
}

#[test]
fn a_broken_pipe_ends_them() {
    into_broken_pipe(env!("CARGO_BIN_EXE_01-process"));
    quiet_examples().for_each(into_broken_pipe);
}
