//! (skeleton)

pub mod log;
