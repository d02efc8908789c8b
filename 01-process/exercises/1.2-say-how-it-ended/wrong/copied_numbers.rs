// WRONG: the numbers are written in as the task shows them, and hold for that one night.

fn how(status: ExitStatus) -> String {
    match status.code() {
        Some(0) => "ended well".to_string(),
        Some(code) => format!("failed with exit code {code}"),
        None => "killed by signal 6".to_string(),
    }
}
