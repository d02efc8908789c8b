//! What a closure owns lives on in the child, and is dropped in the parent.

use std::cell::Cell;

use nix::unistd::Pid;

thread_local! {
    static HANDED_OVER: Cell<Option<Pid>> = const { Cell::new(None) };
}

/// While it exists, what is dropped in this thread lives on in a child. It has the one before it:
/// what is dropped may itself spawn.
pub(super) struct HandedOver(Option<Pid>);

impl HandedOver {
    pub fn to(child: Pid) -> Self {
        HandedOver(HANDED_OVER.replace(Some(child)))
    }
}

impl Drop for HandedOver {
    fn drop(&mut self) {
        HANDED_OVER.set(self.0);
    }
}

/// In a child, which may have been forked meanwhile: what it drops is its own.
pub(super) fn forget() {
    HANDED_OVER.set(None);
}

/// The child that goes on using the value that is being dropped, if it was moved into one.
pub(crate) fn handed_over() -> Option<u32> {
    HANDED_OVER
        .get()
        .map(|child| child.as_raw().cast_unsigned())
}
