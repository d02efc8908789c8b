// WRONG: waits a while for the press, whether it has ended or not, and takes what is there.

/// Waits for the press, and takes all pages out.
fn print_all(press: &mut Process, tray: &Queue<String>, _pages: usize) -> Result<Vec<String>> {
    press.join_timeout(std::time::Duration::from_millis(100))?;
    let mut printed = Vec::new();
    while let Ok(page) = tray.try_get() {
        printed.push(page);
    }
    Ok(printed)
}
