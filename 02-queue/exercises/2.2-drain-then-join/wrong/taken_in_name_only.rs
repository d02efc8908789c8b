// DEADLOCK: the two lines change places, but an iterator takes nothing before it is collected.

/// Waits for the press, and takes all pages out.
fn print_all(press: &mut Process, tray: &Queue<String>, pages: usize) -> Result<Vec<String>> {
    let printed = tray.iter().take(pages);
    ensure!(press.join()?.success(), "the press failed");
    Ok(printed.collect::<Result<_, _>>()?)
}
