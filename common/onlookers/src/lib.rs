//! Looks at a program of this workspace from outside: at what it has done, by the record that
//! `MP_TRACE` has made.

pub mod chrome;
pub mod drawing;
pub mod run;
pub mod view;
pub mod words;
