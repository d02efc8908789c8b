// CRASH: an exit status has an exit code, one would think; after a signal there is none to unwrap.

fn how(status: ExitStatus) -> String {
    match status.code().unwrap() {
        0 => "ended well".to_string(),
        code => format!("failed with exit code {code}"),
    }
}
