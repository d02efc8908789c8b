//! What a closure owns lives on in the child, and is dropped in the parent.

use std::cell::Cell;

use nix::unistd::Pid;

thread_local! {
    static HANDED_OVER: Cell<Option<Pid>> = const { Cell::new(None) };
}

/// While it exists, what is dropped in this thread lives on in a child.
pub(super) struct HandedOver;

impl HandedOver {
    pub fn to(child: Pid) -> Self {
        HANDED_OVER.set(Some(child));
        HandedOver
    }
}

impl Drop for HandedOver {
    fn drop(&mut self) {
        HANDED_OVER.set(None);
    }
}

/// The child that goes on using the value that is being dropped, if it was moved into one.
pub(crate) fn handed_over() -> Option<u32> {
    HANDED_OVER
        .get()
        .map(|child| child.as_raw().cast_unsigned())
}
