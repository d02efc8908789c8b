// STUCK: a `Child` that is waited for is neither a zombie nor an orphan; but it never ends.

fn shop(mut player: Command, open: &Queue<()>) -> Result<()> {
    let status = player.status()?;
    ensure!(status.success(), "the music has failed");
    serve(open)
}
