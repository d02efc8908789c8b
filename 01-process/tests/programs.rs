//! What the chapter's programs print.

use testing::{any_order_then, assert_output, exact, example, interrupt, run};

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
fn ctrl_c_ends_them() {
    interrupt(env!("CARGO_BIN_EXE_01-process"));
    interrupt(example("exec"));
}
