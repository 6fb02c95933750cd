//! (skeleton)

pub mod line;
mod segment;
pub mod spool;
