//! In place of `common`'s `asleep`: naps and looks, and nobody is noted. `tests/asleep` has the
//! other half.

use std::fmt;
use std::time::Duration;

use crate::deadline::Deadline;

#[derive(Debug)]
pub enum Deadlock {}

impl fmt::Display for Deadlock {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {}
    }
}

impl std::error::Error for Deadlock {}

#[allow(dead_code)]
pub enum Look<T> {
    Found(T),
    InVain(Upon),
}

pub enum Upon {
    Anybody,
}

pub fn found() {}

pub fn wait<T>(
    _deadline: Deadline,
    nap: Duration,
    _what: fmt::Arguments<'_>,
    mut sleep: impl FnMut(Duration) -> Option<T>,
    mut look: impl FnMut() -> Look<T>,
) -> Result<Option<T>, Deadlock> {
    loop {
        if let Some(found) = sleep(nap) {
            return Ok(Some(found));
        }
        match look() {
            Look::Found(found) => return Ok(Some(found)),
            Look::InVain(_) => {}
        }
    }
}
