//! The atomics that processes wait with. Apart, so that `tests/model` can put a checker's in
//! their place.

pub(crate) use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
