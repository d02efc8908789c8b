// WRONG: joins the press, and does not look at how it ended.

/// Waits for the press, and takes all pages out.
fn print_all(press: &mut Process, tray: &Queue<String>, pages: usize) -> Result<Vec<String>> {
    let printed = tray.iter().take(pages).collect::<Result<_, _>>()?;
    press.join()?;
    Ok(printed)
}
