// STUCK: each child is to be joined, so this one is joined as well, and it plays for ever.

fn shop(mut player: Command, open: &Queue<()>) -> Result<()> {
    let mut music = Process::spawn("music", move || -> io::Result<()> { Err(player.exec()) })?;
    ensure!(music.join()?.success(), "the music has failed");
    serve(open)
}
