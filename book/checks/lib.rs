//! What keeps the book true.
//!
//! For the pages, from the bottom up: `targets` and `include`, `pages`, `commands` and `prose`,
//! `rules`.

pub mod commands;
pub mod include;
pub mod pages;
pub mod prose;
pub mod rules;
pub mod targets;
