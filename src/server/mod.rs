//! (skeleton)
pub mod wire;
