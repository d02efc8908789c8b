//! A press prints into a small tray, and its parent takes the pages out.

use anyhow::{Context, Result, ensure};
use common::{Process, Queue};

fn press(pages: usize, tray: &Queue<String>) -> Result<()> {
    for number in 1..=pages {
        tray.put(&format!("page {number}"))?;
    }
    Ok(())
}

// Your part begins here.

/// Waits for the press, and takes all pages out.
fn print_all(press: &mut Process, tray: &Queue<String>, pages: usize) -> Result<Vec<String>> {
    ensure!(press.join()?.success(), "the press failed");
    let printed = tray.iter().take(pages);
    Ok(printed.collect::<Result<_, _>>()?)
}

// Your part ends here.

fn main() -> Result<()> {
    common::end_on_broken_pipe();
    let pages = std::env::args().nth(1).map_or(Ok(100), |it| it.parse())?;
    let tray = Queue::with_capacity(300)?;
    let mut press = Process::spawn("press", || press(pages, &tray))?;
    let printed = print_all(&mut press, &tray, pages)?;
    println!("{} pages are printed.", printed.len());
    println!("The last one: {}", printed.last().context("no page")?);
    Ok(())
}
