//! (skeleton)
/// What the province knows of itself.
#[derive(Debug, Default)]
pub struct Registry {}
