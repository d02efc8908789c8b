// WRONG: closes the tray to wake the press, whose next page then fails.

/// Waits for the press, and takes all pages out.
fn print_all(press: &mut Process, tray: &Queue<String>, pages: usize) -> Result<Vec<String>> {
    press.join_timeout(std::time::Duration::from_millis(100))?;
    tray.close();
    ensure!(press.join()?.success(), "the press failed");
    let printed = tray.iter().take(pages);
    Ok(printed.collect::<Result<_, _>>()?)
}
