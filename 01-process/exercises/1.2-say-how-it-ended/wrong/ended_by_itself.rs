// WRONG: a process that has a code has ended by itself, which is taken for well.

fn how(status: ExitStatus) -> String {
    match status.signal() {
        Some(signal) => format!("killed by signal {signal}"),
        None => "ended well".to_string(),
    }
}
