// ORPHAN: the child of ours ends with the shop, and the program that it has started does not.

fn shop(mut player: Command, open: &Queue<()>) -> Result<()> {
    let _music = Process::spawn("music", move || player.status().map(drop))?;
    serve(open)
}
