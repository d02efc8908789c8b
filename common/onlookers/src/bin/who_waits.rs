//! Says who waits for whom in a program that seems to hang.

use std::io::{self, IsTerminal, Write};
use std::thread::sleep;
use std::time::Duration;

use clap::Parser;
use common::Onlooker;

/// Says who waits for whom in a program that seems to hang, at which line, how long, and with
/// which locks. A look changes nothing for the program.
#[derive(Parser)]
struct Options {
    /// The pid of any of its processes.
    pid: u32,
    /// Look again every second, until the program ends.
    #[arg(long)]
    watch: bool,
}

/// Between two looks of which a sleeper must be the same.
const A_MOMENT: Duration = Duration::from_millis(200);
const A_SECOND: Duration = Duration::from_secs(1);
/// To the upper left, and nothing below.
const CLEAR: &str = "\x1b[H\x1b[J";

fn main() -> anyhow::Result<()> {
    common::end_on_broken_pipe();
    let options = Options::parse();
    let mut onlooker = Onlooker::of(options.pid)?;
    sleep(A_MOMENT);
    let mut stdout = io::stdout().lock();
    let (before, after) = match (options.watch, stdout.is_terminal()) {
        (true, true) => (CLEAR, ""),
        (true, false) => ("", "\n"),
        (false, _) => ("", ""),
    };
    loop {
        let waits = onlooker.look();
        writeln!(stdout, "{before}{waits}{after}")?;
        stdout.flush()?;
        if !options.watch || waits.are_over() {
            return Ok(());
        }
        sleep(A_SECOND);
    }
}
