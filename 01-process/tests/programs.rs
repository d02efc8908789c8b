//! What the chapter's programs print.

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
    examples().into_iter().for_each(interrupt);
}

#[test]
fn a_broken_pipe_ends_them() {
    into_broken_pipe(env!("CARGO_BIN_EXE_01-process"));
    examples().into_iter().for_each(into_broken_pipe);
}
