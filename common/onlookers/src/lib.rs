//! Looks at a program of this workspace from outside.
