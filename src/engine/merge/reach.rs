//! How far windows fire at a tick (T5).
//!
//! Owns: [`Reach`]. Refuses to know: partitions, windows' contents.
//!
//! Invariants
//! 1. It is of one pipeline and one tick.
//!
//! Called by: merge (its windows), case (gauges).

use crate::time::Timestamp;

#[derive(Clone, Copy, Debug)]
pub(in crate::engine) struct Reach {
    /// Windows ending at or before this fire.
    pub upto: Timestamp,
    /// Of those the ones that end after this are held: they fire incomplete. `None`: nobody holds.
    pub least: Option<Timestamp>,
}

impl Reach {
    pub const NONE: Reach = Reach { upto: Timestamp::MIN, least: None };

    pub fn held(&self, end: Timestamp) -> bool {
        self.least.is_some_and(|least| least < end)
    }
}
