// WRONG: the press hangs, so it is killed; what it had in its hands is lost.

/// Waits for the press, and takes all pages out.
fn print_all(press: &mut Process, tray: &Queue<String>, _pages: usize) -> Result<Vec<String>> {
    if press
        .join_timeout(std::time::Duration::from_millis(100))?
        .is_none()
    {
        press.kill()?;
        press.join()?;
    }
    tray.close();
    Ok(tray.iter().collect::<Result<_, _>>()?)
}
