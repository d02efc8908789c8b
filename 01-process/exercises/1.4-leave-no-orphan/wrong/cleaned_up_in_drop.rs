// ORPHAN: a guard kills the player when it is dropped, and nothing is dropped in a killed process.

struct Music(Child);

impl Drop for Music {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn shop(mut player: Command, open: &Queue<()>) -> Result<()> {
    let _music = Music(player.spawn()?);
    serve(open)
}
