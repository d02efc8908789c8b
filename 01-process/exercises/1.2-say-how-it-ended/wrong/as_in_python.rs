// WRONG: in Python `exitcode` is negative after a signal; here there is no code, and -1 is made up.

fn how(status: ExitStatus) -> String {
    match status.code().unwrap_or(-1) {
        0 => "ended well".to_string(),
        code if code < 0 => format!("killed by signal {}", -code),
        code => format!("failed with exit code {code}"),
    }
}
