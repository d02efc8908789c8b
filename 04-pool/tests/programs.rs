//! What the chapter's programs print.

use std::path::Path;

use insta::assert_snapshot;
use testing::{any_order_then, example, masked, run};

/// Checks what the result lines have in common, whatever the values are, and masks these.
fn results_masked(last: usize, output: &str) -> String {
    let results: Vec<i64> = values_after("result: ", output);
    assert!(
        results.iter().all(|result| (-30..=0).contains(result)),
        "each task reads after its own ten subtractions: {results:?}"
    );
    masked("result: ", "[value]", &any_order_then(last, output))
}

fn values_after(before: &str, output: &str) -> Vec<i64> {
    let lines = output.lines().filter_map(|line| line.strip_prefix(before));
    lines.filter_map(|value| value.parse().ok()).collect()
}

/// The same for processes and threads.
fn four_tasks(program: &Path) -> String {
    let output = run(program).success();
    assert!(
        values_after("result: ", &output).contains(&-30),
        "the task with the last subtraction reads what is left then:\n{output}"
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
