// WRONG: the process has no name in the program, so it is dropped, and killed, before it plays.

fn shop(mut player: Command, open: &Queue<()>) -> Result<()> {
    let _ = Process::spawn("music", move || -> io::Result<()> { Err(player.exec()) })?;
    serve(open)
}
