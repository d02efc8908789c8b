//! A photo lab develops three pictures. One of them will never be ready.
//!
//! So each gets a time limit, and who is not ready by then is given up.

use std::env::args;
#[allow(unused_imports)]
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};
use common::{Process, Queue};

// Your part begins here.

/// Waits for a picture for at most `limit`, and says what became of it.
fn finish(picture: &mut Process, _limit: Duration) -> Result<&'static str> {
    let status = picture.join()?;
    Ok(if status.success() { "ready" } else { "spoilt" })
}

// Your part ends here.

fn main() -> Result<()> {
    common::end_on_broken_pipe();
    let seconds = args().nth(1).map_or(Ok(5), |it| it.parse())?;
    let (long, short) = (Duration::from_secs(seconds), Duration::from_millis(200));
    let camera = Queue::<()>::new()?; // into which nobody puts
    let torn = || Err::<(), _>(anyhow!("the film is torn"));
    let mut pictures = [
        (Process::spawn("beach", || ())?, long),
        (Process::spawn("night", || camera.get())?, short),
        (Process::spawn("party", torn)?, long),
    ];
    for (picture, limit) in &mut pictures {
        let (begin, limit) = (Instant::now(), *limit);
        let became = finish(picture, limit)?;
        let is_early = begin.elapsed() < limit;
        let when = if is_early { "at once" } else { "at the limit" };
        println!("{}: {became}, {when}", picture.name());
    }
    let mut sweeper = Process::spawn("sweeper", || println!("The lab is swept."))?;
    ensure!(sweeper.join()?.success(), "the lab is not swept");
    for (picture, _) in &mut pictures {
        ensure!(!picture.is_alive()?, "{} is still there", picture.name());
    }
    Ok(())
}
