//! In place of `common`'s `patience`: a look without a sleep is one more of what sleeping does
//! anyway.

pub const LOOKS_AT_A_WORD: u32 = 0;
pub const LOOKS_AT_A_MUTEX: u32 = 0;

pub fn soon<T>(_looks: u32, _look: impl FnMut() -> Option<T>) -> Option<T> {
    None
}
