//! A cook in a child, and a callback that is to run in the parent.

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
fn serve(mut callback: impl FnMut(u32) + Send) -> Result<()> {
    let mut child = Process::spawn("cook", || {
        for dish in 1..=3 {
            callback(cook(dish));
        }
    })?;
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
