//! (skeleton)
use serde::{Deserialize, Serialize};
/// Index of an area in an `AreaIndex`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct AreaId(pub u32);
