//! Records that were driven again, and what each pipeline made of them.
//!
//! Owns: how such a record is told (its header) and how its verdict is read off the counts. Refuses to know: who drove it again, where
//! verdicts are kept.
//!
//! Invariants
//! 1. The record is judged as any other: looking changes nothing (T0, T4).
//! 2. A verdict leaves with the tick that gave it, after its journal record (D2).
//!
//! Called by: driver (live and recorded cutting), recovery.

use super::record;
use crate::engine::lane::Lane;
use crate::ingest::{Fetched, PartitionName};
use crate::store::rejected::{Judged, TICKET_HEADER};
use crate::time::Timestamp;
use std::collections::BTreeMap;

/// A verdict whose partition has only its index yet.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    ticket: i64,
    partition: usize,
    offset: u64,
    verdict: &'static str,
    verdicts: BTreeMap<String, String>,
    reason: Option<String>,
}

impl Seen {
    /// `names`: partitions by index.
    pub fn judged(self, names: &[PartitionName]) -> Option<Judged> {
        let Seen { ticket, partition, offset, verdict, verdicts, reason } = self;
        Some(Judged { ticket, partition: names.get(partition)?.clone(), offset, verdict, verdicts, reason })
    }
}

/// [`Lane::take`], with a look at what became of a record that was driven again.
pub fn take(lane: &mut Lane, p: usize, fetched: &Fetched, until: Timestamp, seen: &mut Vec<Seen>) -> Result<(), Timestamp> {
    let Some(ticket) = ticket(fetched) else { return lane.take(p, record(fetched), until) };
    let before = counts(lane, p);
    lane.take(p, record(fetched), until)?;
    let after = counts(lane, p);
    let mut verdicts = BTreeMap::new();
    for ((pipeline, before), after) in lane.setup.pipelines.iter().zip(before).zip(&after) {
        if let Some(n) = (0..VERDICTS.len()).find(|n| after.0[*n] > before.0[*n]) {
            verdicts.insert(pipeline.name.clone(), VERDICTS[n]);
        }
    }
    let verdict = VERDICTS.into_iter().find(|v| verdicts.values().any(|of| of == v)).unwrap_or("rejected");
    let refused = || lane.collectors[p].rejected().last().filter(|r| r.offset == fetched.offset).map(|r| r.rejected.code());
    let reason = if verdict == "rejected" { refused() } else { None };
    let verdicts = verdicts.into_iter().map(|(name, verdict)| (name, verdict.to_owned())).collect();
    seen.push(Seen { ticket, partition: p, offset: fetched.offset, verdict, verdicts, reason });
    Ok(())
}

/// The best that can become of a record first.
const VERDICTS: [&str; 4] = ["accepted", "late", "duplicate", "unwanted"];

/// In the order of [`VERDICTS`], by pipeline.
struct Counted([u64; 4]);

fn counts(lane: &Lane, p: usize) -> Vec<Counted> {
    let of = |pipeline: usize| {
        let c = lane.collectors[p].counts(pipeline);
        Counted([c.accepted, c.late, c.duplicate, c.unwanted])
    };
    (0..lane.setup.pipelines.len()).map(of).collect()
}

fn ticket(fetched: &Fetched) -> Option<i64> {
    let (_, value) = fetched.headers.iter().find(|(name, _)| name == TICKET_HEADER)?;
    std::str::from_utf8(value).ok()?.parse().ok()
}
