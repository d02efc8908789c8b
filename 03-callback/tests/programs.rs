//! What the chapter's programs print.

use testing::{
    any_order_then, assert_output, chain, exact, example, examples, interrupt, into_broken_pipe,
    python, run,
};

#[test]
fn main_program() {
    let output = run(env!("CARGO_BIN_EXE_03-callback")).success();
    assert_output!(exact(output));
}

#[test]
fn in_parent() {
    assert_output!(exact(run(example("in_parent")).success()));
}

#[test]
fn lost_update() {
    assert_output!(exact(run(example("lost_update")).success()));
}

#[test]
fn read_outside_lock() {
    assert_output!(exact(run(example("read_outside_lock")).success()));
}

#[test]
fn lock_order() {
    assert_output!(any_order_then(1, run(example("lock_order")).success()));
}

#[test]
fn deadlock() {
    assert_output!(chain(run(example("deadlock")).success()));
}

#[test]
fn killed_owner() {
    assert_output!(exact(run(example("killed_owner")).success()));
}

#[test]
fn python_main_program() {
    if let Some(output) = python("callback") {
        assert_output!("main_program", exact(output.success()));
    }
}

#[test]
fn python_lost_update() {
    if let Some(output) = python("lost_update") {
        assert_output!("lost_update", exact(output.success()));
    }
}

#[test]
fn python_deadlock() {
    if let Some(output) = python("deadlock") {
        assert_output!(exact(output.success()));
    }
}

#[test]
fn python_killed_owner() {
    if let Some(output) = python("killed_owner") {
        assert_output!(exact(output.success()));
    }
}

#[test]
fn ctrl_c_ends_them() {
    interrupt(env!("CARGO_BIN_EXE_03-callback"));
    examples().into_iter().for_each(interrupt);
}

#[test]
fn a_broken_pipe_ends_them() {
    into_broken_pipe(env!("CARGO_BIN_EXE_03-callback"));
    examples().into_iter().for_each(into_broken_pipe);
}
