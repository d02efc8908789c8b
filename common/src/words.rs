//! What went wrong, in words for people.

use std::any::Any;
use std::error::Error;
use std::io::{self, Write};

/// An error and its causes in one line.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line.push_str(": ");
        line.push_str(&error.to_string());
        cause = error.source();
    }
    line
}

/// What a panic said.
pub(crate) fn panic_message(payload: Box<dyn Any + Send>) -> String {
    let message = match (
        payload.downcast_ref::<&str>(),
        payload.downcast_ref::<String>(),
    ) {
        (Some(text), _) => (*text).to_owned(),
        (_, Some(text)) => text.clone(),
        _ => "a panic without a message".to_owned(),
    };
    // Dropping somebody's payload may panic once more.
    std::mem::forget(payload);
    message
}

/// Prints a line on standard error in one write, so that the lines of several processes do not
/// mix; nobody to tell if it fails.
pub(crate) fn complain(line: &str) {
    let _ = io::stderr().write_all(format!("{line}\n").as_bytes());
}
