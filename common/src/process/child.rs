//! The child's whole life.

use std::error::Error;
use std::io::{self, Write};
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicI32, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::{Pid, getppid};

use super::before_fork::flush_c;
use super::broken_pipe;
use super::handover;
use crate::asleep;
use crate::points;
use crate::trace;
use crate::words::{chain, complain};

/// What a process's closure may return: nothing, or a `Result` whose error ends the process with
/// exit code 1 and one message on standard error.
#[diagnostic::on_unimplemented(
    message = "a process returns `()` or `Result<(), E>`, not `{Self}`",
    note = "to hand a value to the parent, put it on a `Queue` or into a `Value`",
    note = "a closure that never returns can say so with `|| -> () {{ ... }}`"
)]
pub trait Outcome {
    /// The error to report, if any.
    fn error(self) -> Option<Box<dyn Error + Send + Sync>>;
}

impl Outcome for () {
    fn error(self) -> Option<Box<dyn Error + Send + Sync>> {
        None
    }
}

impl<E: Into<Box<dyn Error + Send + Sync>>> Outcome for Result<(), E> {
    fn error(self) -> Option<Box<dyn Error + Send + Sync>> {
        self.err().map(Into::into)
    }
}

/// This process's name. A forked child sets its own.
static NAME: Mutex<&str> = Mutex::new("main");

pub(super) fn current_name() -> &'static str {
    *NAME.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Who spawned this process; zero in the first one.
static PARENT: AtomicI32 = AtomicI32::new(0);

pub(super) fn end_with_parent() -> io::Result<()> {
    let parent = PARENT.load(Relaxed);
    if parent != 0 {
        set_pdeathsig(Signal::SIGKILL)?;
        if getppid().as_raw() != parent {
            exit(1);
        }
    }
    Ok(())
}

/// From the fork to the end.
pub(super) fn run<F, R>(name: String, short: &[u8; 16], parent: Pid, body: F) -> !
where
    F: FnOnce() -> R,
    R: Outcome,
{
    // A parent that died before the request was made would never be noticed.
    if set_pdeathsig(Signal::SIGKILL).is_err() || getppid() != parent {
        if getppid().as_raw() == 0 {
            complain(&format!(
                "process {name:?} cannot be told when its parent ends, which is in another pid \
                 namespace: start the whole program in the new one (`unshare --pid --fork`)"
            ));
        }
        exit(1);
    }
    PARENT.store(parent.as_raw(), Relaxed);
    broken_pipe::unwind_first();
    handover::forget();
    let name: &'static str = name.leak(); // it lives as long as this process
    *NAME.lock().unwrap_or_else(PoisonError::into_inner) = name;
    points::born(name);
    // Made before the fork: a child's first use of the heap or of another piece of code costs a
    // page fault each.
    // SAFETY: reads up to the zero.
    unsafe { libc::prctl(libc::PR_SET_NAME, short.as_ptr()) };
    // All of it: an error's Display or Drop may panic as well as the body.
    let outcome = catch_unwind(AssertUnwindSafe(|| match body().error() {
        None => 0,
        Some(error) => {
            asleep::give_way();
            complain(&format!("process {name:?} failed: {}", chain(&*error)));
            1
        }
    }));
    let code = outcome.unwrap_or_else(|payload| {
        broken_pipe::end_if_panicked(&*payload);
        // The hook has printed it, as of the thread "main", which every process has.
        complain(&format!("process {name:?} panicked"));
        mem::forget(payload); // dropping it may panic once more
        101
    });
    flush_c();
    match io::stdout().flush() {
        Err(error) if code == 0 => {
            broken_pipe::end_if_failed(&error);
            complain(&format!(
                "process {name:?} failed: standard output: {error}"
            ));
            exit(1)
        }
        _ => exit(code),
    }
}

/// The first 15 bytes of a name, the most that the system keeps, and a zero.
pub(super) fn short_name(name: &str) -> [u8; 16] {
    let mut short = [0; 16];
    let kept = name.bytes().take(short.len() - 1);
    short.iter_mut().zip(kept).for_each(|(to, byte)| *to = byte);
    short
}

/// Ends the process without the parent's exit handlers, of which it has a copy.
fn exit(code: i32) -> ! {
    trace::exits(code);
    // SAFETY: does not return, and nothing of this process is needed any more.
    unsafe { libc::_exit(code) }
}
