//! A cook in a child, and a callback that is to run in the parent.
//!
//! What the child has to say, it sends; and the parent calls, so that the callback can use all that the
//! parent has. A pipe knows its two users: `Closed` is the end, and a death is an error, not a wait
//! without end. The status then says whether all was cooked.

#[allow(unused_imports)] // you may need some
use anyhow::{Result, ensure};
#[allow(unused_imports)]
use common::{PipeError, Process, Queue, Value, pipe};

fn cook(dish: u32) -> u32 {
    println!("Cooked by: {}", Process::current_name());
    10 * dish
}

// Your part begins here.

/// Has three dishes cooked by a child, and calls back for each of them, here.
fn serve(mut callback: impl FnMut(u32)) -> Result<()> {
    let (kitchen, hall) = pipe::<u32, ()>()?;
    let mut child = Process::spawn("cook", move || {
        (1..=3).try_for_each(|dish| kitchen.send(&cook(dish)))
    })?;
    loop {
        match hall.recv() {
            Ok(dish) => callback(dish),
            Err(PipeError::Closed) => break, // the cook has dropped its end
            Err(error) => return Err(error.into()),
        }
    }
    ensure!(child.join()?.success(), "the cook failed");
    Ok(())
}

// Your part ends here.

fn main() -> Result<()> {
    common::end_on_broken_pipe();
    let parent = std::process::id();
    let mut list = Vec::new();
    serve(|dish| {
        list.push(dish);
        println!("Called in the parent: {}", std::process::id() == parent);
    })?;
    println!("The list: {list:?}");
    Ok(())
}
