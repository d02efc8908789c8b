//! Runs a student's program as often as it takes, and says which mistake is in it.
//!
//! An exercise ([`course`]) says what must be seen in which runs. A program is built ([`build`]), run
//! under the grader's eyes ([`run`]), and judged ([`judge`]). Whether it hangs is never a question of
//! time: its processes write down what they do (`common::trace`), the system says in what they sleep
//! ([`family`]), and who waits for whom follows from both ([`story`]).

pub mod build;
pub mod class;
pub mod course;
pub mod desk;
pub mod family;
pub mod judge;
pub mod order;
pub mod run;
pub mod selfcheck;
pub mod story;
pub mod verdict;
