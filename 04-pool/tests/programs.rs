//! What the chapter's programs print.

use std::path::Path;

use insta::assert_snapshot;
use testing::{any_order_then, example, interrupt, masked, run};

/// The numbers of the lines that start in this way.
fn values_after(start: &str, output: &str) -> Vec<i64> {
    let values = output.lines().filter_map(|line| line.strip_prefix(start));
    values.filter_map(|value| value.parse().ok()).collect()
}

/// Checks what is true of the results whatever they are, and masks them.
fn results_masked(last: usize, output: &str) -> String {
    assert!(
        values_after("result: ", output)
            .iter()
            .all(|result| (-30..=0).contains(result)),
        "each task reads after its own ten subtractions:\n{output}"
    );
    masked("result: ", "[value]", &any_order_then(last, output))
}

/// The same for processes and threads.
fn four_tasks(program: &Path) -> String {
    let output = run(program).success();
    let end = values_after("Shared variable value: ", &output);
    assert!(
        values_after("result: ", &output)
            .iter()
            .any(|result| end == [*result]),
        "the task with the last subtraction reads what is left in the end:\n{output}"
    );
    results_masked(1, &output)
}

#[test]
fn main_program() {
    assert_snapshot!(four_tasks(env!("CARGO_BIN_EXE_04-pool").as_ref()));
}

#[test]
fn threads() {
    assert_snapshot!(four_tasks(&example("threads")));
}

#[test]
fn error_callback() {
    let output = run(example("error_callback")).success();
    let sum = output.lines().last().unwrap_or_default();
    let numbers: Vec<i64> = sum
        .split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect();
    let [left, start, subtracted] = numbers[..] else {
        panic!("no sum in the last line: {output}");
    };
    assert_eq!(left, start - subtracted);
    assert!(
        (31..=40).contains(&subtracted),
        "three tasks make ten subtractions each, the failing one 1 to 10: {subtracted}"
    );
    let output = results_masked(3, &output);
    let output = masked("value: ", "[value]", &output);
    assert_snapshot!(masked(" - ", "[subtracted]", &output));
}

#[test]
fn ctrl_c_ends_them() {
    interrupt(env!("CARGO_BIN_EXE_04-pool"));
    interrupt(example("error_callback"));
    interrupt(example("threads"));
}
