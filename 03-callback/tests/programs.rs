//! What the chapter's programs print.

use testing::{assert_output, exact, example, interrupt, run};

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
fn ctrl_c_ends_them() {
    interrupt(env!("CARGO_BIN_EXE_03-callback"));
    interrupt(example("in_parent"));
}
