//! Empty: a package needs a target, and the exercises in `src/bin` are not part of the clone.
