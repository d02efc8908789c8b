//! What keeps the book true.

pub mod commands;
pub mod include;
pub mod pages;
pub mod prose;
pub mod rules;
