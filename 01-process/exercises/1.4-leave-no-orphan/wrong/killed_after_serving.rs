// ORPHAN: the player is killed when the shop has served, and it never comes to that.

fn shop(mut player: Command, open: &Queue<()>) -> Result<()> {
    let mut music = player.spawn()?;
    let served = serve(open);
    music.kill()?;
    music.wait()?;
    served
}
