// WRONG: the status can print itself, and that says something else than the task.

fn how(status: ExitStatus) -> String {
    match status.success() {
        true => "ended well".to_string(),
        false => format!("failed with {status}"),
    }
}
