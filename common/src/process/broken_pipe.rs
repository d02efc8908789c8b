//! What becomes of a family of processes whose output nobody reads any more.

use std::any::Any;
use std::io;
use std::panic;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use nix::sys::signal::{SigHandler, SigSet, Signal, raise, signal};

/// Whether the program has asked for it. Children have a copy.
static ASKED: AtomicBool = AtomicBool::new(false);

/// Makes `program | head -1` end quietly, with all its processes and the status that a shell shows
/// as 141. Call it first in `main`.
///
/// A Rust program ignores `SIGPIPE`, so a `println!` into a pipe that nobody reads panics, in each
/// process. After this call the signal ends this process; a child whose `println!` or `print!`
/// fails so unwinds, which frees its locks, and then ends by the signal without a message; and so
/// does whoever finds, in [`join`](crate::Process::join), `is_alive` or a pool's call, that a child
/// of its own has ended by it. Who waits elsewhere, for an item of that child, does not find out.
///
/// Python: `signal.signal(SIGPIPE, SIG_DFL)`, which does not go beyond one process. System:
/// `sigaction`, and a panic hook around the one that is there.
pub fn end_on_broken_pipe() {
    if ASKED.swap(true, Relaxed) {
        return;
    }
    set(SigHandler::SigDfl);
    let hook = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        if !is_one(panic.payload()) {
            hook(panic);
        }
    }));
}

/// In a child: no longer the signal, but the panic, which frees locks.
pub(super) fn unwind_first() {
    if ASKED.load(Relaxed) {
        set(SigHandler::SigIgn);
    }
}

/// Ends this process if the panic says that nobody reads its output, and that is to end it.
pub(crate) fn end_if_panicked(payload: &(dyn Any + Send)) {
    if ASKED.load(Relaxed) && is_one(payload) {
        end();
    }
}

/// Ends this process if one of its children ended so, and that is to end it.
pub(super) fn end_if_signalled(signal: Option<i32>) {
    if signal == Some(Signal::SIGPIPE as i32) && ASKED.load(Relaxed) {
        end();
    }
}

/// Ends this process if an output could not be flushed for that, and that is to end it.
pub(super) fn end_if_failed(error: &io::Error) {
    if error.kind() == io::ErrorKind::BrokenPipe && ASKED.load(Relaxed) {
        end();
    }
}

/// The panic of the standard library's `print!` has nothing but a text.
fn is_one(payload: &(dyn Any + Send)) -> bool {
    let text = payload.downcast_ref::<String>();
    text.is_some_and(|text| {
        text.starts_with("failed printing to std") && text.ends_with("(os error 32)")
    })
}

fn end() -> ! {
    set(SigHandler::SigDfl);
    let mut blocked = SigSet::empty();
    blocked.add(Signal::SIGPIPE);
    let _ = blocked.thread_unblock();
    let _ = raise(Signal::SIGPIPE);
    // SAFETY: does not return, and nothing of this process is needed any more.
    unsafe { libc::_exit(128 + Signal::SIGPIPE as i32) }
}

fn set(handler: SigHandler) {
    // SAFETY: neither handler runs code of this program. It can only fail for a wrong number.
    let _ = unsafe { signal(Signal::SIGPIPE, handler) };
}
