//! Where the events of a row lie in the log: evidence of an alert.
//!
//! Owns: the question. Refuses to know: alerts, topics' names.
//!
//! Invariants
//! 1. All events of the row's window that its partition accepted lie in the range; events of other keys and windows may lie there too.
//! 2. What is forgotten has no positions; a window that settled in this very tick still has.
//!
//! Called by: lane.

use super::{Merger, NONE};
use crate::engine::{Key, Positions};
use crate::time::Timestamp;

impl Merger {
    /// By partition.
    pub fn positions(&self, (pipeline, window): (usize, usize), start: Timestamp, key: &Key) -> Vec<Positions> {
        let Some(windows) = self.pipes.get(pipeline).and_then(|pipe| pipe.windows.get(window)) else { return Vec::new() };
        let settled = || windows.just_settled.iter().find(|(at, _)| *at == start).map(|(_, merged)| merged);
        let Some(merged) = windows.open.get(&start).or_else(settled) else { return Vec::new() };
        let entry = windows.keys.find(key).and_then(|number| merged.entry_of.get(number as usize).copied()).filter(|e| *e != NONE);
        let Some(entry) = entry else { return Vec::new() };
        let said = merged.parts.iter().enumerate().filter(|(_, part)| {
            let place = part.index.get(entry as usize).copied().unwrap_or(NONE);
            place != NONE && part.read.1 > 0
        });
        said.map(|(partition, part)| Positions { partition: partition as u32, from: part.read.0, to: part.read.1 }).collect()
    }
}
