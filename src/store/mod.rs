//! (skeleton)

pub mod line;
