// STUCK: joins with a limit until it succeeds, and takes nothing out meanwhile.

/// Waits for the press, and takes all pages out.
fn print_all(press: &mut Process, tray: &Queue<String>, pages: usize) -> Result<Vec<String>> {
    let limit = std::time::Duration::from_millis(100);
    while press.join_timeout(limit)?.is_none() {}
    let printed = tray.iter().take(pages);
    Ok(printed.collect::<Result<_, _>>()?)
}
