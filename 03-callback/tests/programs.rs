//! What the chapter's programs print.

use insta::assert_snapshot;
use testing::{exact, example, run};

#[test]
fn main_program() {
    let output = run(env!("CARGO_BIN_EXE_03-callback")).success();
    assert_snapshot!(exact(&output));
}

#[test]
fn in_parent() {
    assert_snapshot!(exact(&run(example("in_parent")).success()));
}
