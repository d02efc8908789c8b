//! A child of ours has asked to be killed when its parent ends, also when it becomes the player.
//!
//! Nothing that the shop does at its own end would help: a killed process does nothing any more, so
//! no `drop` and no handler of a signal runs. It must have been asked for before, and of the
//! kernel, which sees each death.
//!
//! `exec` comes back only with an error, which is then the child's.

#[allow(unused_imports)]
use std::io;
use std::io::{BufRead, BufReader, PipeWriter, pipe};
#[allow(unused_imports)]
use std::os::unix::process::CommandExt;
#[allow(unused_imports)]
use std::process::{Child, Command};

use anyhow::{Result, ensure};
use common::{Process, Queue};

/// Says that it plays, and then does so for ever: the shell becomes `sleep`.
fn player(output: PipeWriter) -> Command {
    let mut player = Command::new("sh");
    player.args(["-c", "echo plays; exec sleep infinity"]);
    player.stdout(output);
    player
}

/// Says that the shop is open. Then it waits for customers, and nobody comes.
fn serve(open: &Queue<()>) -> Result<()> {
    open.put(&())?;
    Ok(Queue::new()?.get()?)
}

// Your part begins here.

fn shop(mut player: Command, open: &Queue<()>) -> Result<()> {
    let _music = Process::spawn("music", move || -> io::Result<()> { Err(player.exec()) })?;
    serve(open)
}

// Your part ends here.

fn main() -> Result<()> {
    common::end_on_broken_pipe();
    let (reader, writer) = pipe()?;
    let (player, open) = (player(writer), &Queue::new()?);
    let mut process = Process::spawn("shop", move || shop(player, open))?;
    let mut line = String::new();
    BufReader::new(reader).read_line(&mut line)?;
    ensure!(line == "plays\n", "there is no music");
    println!("The music plays.");
    open.get()?;
    process.kill()?;
    println!("The shop was closed: {}", process.join()?);
    Ok(())
}
