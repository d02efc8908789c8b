//! Looks at a program of this workspace from outside: what it has done, by the record that `MP_TRACE`
//! has made, as a picture (`timeline`); and who waits for whom in it (`who_waits`, for which `common`
//! has all that it takes).

pub mod chrome;
pub mod drawing;
pub mod run;
pub mod view;
pub mod words;
