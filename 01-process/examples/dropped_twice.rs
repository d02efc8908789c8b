//! What a closure owns exists twice after a fork, and is dropped twice.
//!
//! Here it is a session that says goodbye when it is dropped. The parent drops its own as soon as
//! it has forked, so the server hears a goodbye from a child that is still at work. In the same way
//! a temporary directory is deleted under the child's feet. So let the closure borrow the value,
//! and keep it until the child has ended. Python's parent drops its reference at the start, too.
//!
//! Output: exact, since the child begins when its parent has dropped what it drops.

use std::io::{Read, Result, Write};
use std::os::unix::net::UnixStream;

use anyhow::ensure;
use common::{Process, Queue};

/// Says goodbye when it is dropped, as one with a database does.
struct Session(UnixStream);

impl Session {
    fn say(&self, line: &str) -> Result<()> {
        writeln!(&self.0, "  {line}")
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // Nobody to tell if the server has gone.
        self.say(&format!("{}: goodbye", Process::current_name()))
            .ok();
    }
}

/// What a server hears from a child that owns the session, or that borrows it.
fn heard(owned: bool) -> anyhow::Result<String> {
    let (client, mut server) = UnixStream::pair()?;
    let session = Session(client);
    let begin = &Queue::new()?;
    let work = |session: &Session| -> anyhow::Result<()> {
        begin.get()?;
        Ok(session.say("child: work")?)
    };
    let (mut child, kept) = if owned {
        (Process::spawn("child", move || work(&session))?, None)
    } else {
        (Process::spawn("child", || work(&session))?, Some(session))
    };
    begin.put(&())?;
    ensure!(child.join()?.success(), "the child failed");
    drop(kept);

    let mut heard = String::new();
    server.read_to_string(&mut heard)?;
    Ok(heard)
}

fn main() -> anyhow::Result<()> {
    common::end_on_broken_pipe();
    print!("Owned by the closure:\n{}", heard(true)?);
    print!("Borrowed, and kept until the join:\n{}", heard(false)?);
    Ok(())
}
