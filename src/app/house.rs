//! Keeping house: what is old enough goes.
//!
//! Owns: when days of the embedded log and of the embedded store are unlinked. Refuses to know: how either keeps its files.
//!
//! Invariants
//! 1. A day of the log goes only when a checkpoint stands past it: a start needs no record that is gone (D1).
//!
//! Called by: app.

use crate::checkpoint::Checkpoints;
use crate::driver::wall_clock;
use crate::ingest::PartitionName;
use crate::ingest::log::{Log, Retention};
use crate::store::Store;
use crate::time::Span;
use std::sync::Arc;

/// Rows of windows below an hour are kept so long in the embedded store.
const ROWS_KEPT: Span = Span::days(30);

/// Once an hour: whole days of the log and of the embedded store that are kept long enough are unlinked; a day of the log only when a
/// checkpoint stands past it.
pub struct House {
    /// Logs of events: a start may need them.
    pub read: Vec<Log>,
    /// The log that other programs read, if there is one: a start needs nothing of it.
    pub told: Option<Log>,
    pub log_days: u32,
    pub checkpoints: Checkpoints,
    pub store: Option<Arc<Store>>,
}

/// Of a checkpoint: what was read up to where. The rest of it is passed over.
#[derive(serde::Deserialize)]
struct ReadUpTo {
    lane: LaneReadUpTo,
    partitions: Vec<PartitionName>,
}

#[derive(serde::Deserialize)]
struct LaneReadUpTo {
    partitions: Vec<PartitionReadUpTo>,
}

#[derive(serde::Deserialize)]
struct PartitionReadUpTo {
    next_offset: u64,
}

impl House {
    pub async fn keep(self) {
        let mut hourly = tokio::time::interval(std::time::Duration::from_secs(3600));
        loop {
            hourly.tick().await;
            self.retain_logs().await;
            if let Some(Store::Embedded(embedded)) = self.store.as_deref()
                && let Err(error) = embedded.retain(wall_clock() - ROWS_KEPT).await
            {
                tracing::warn!(%error, "old rows were not removed");
            }
        }
    }

    async fn retain_logs(&self) {
        let checkpoints = self.checkpoints.clone();
        let newest = tokio::task::spawn_blocking(move || checkpoints.newest::<ReadUpTo>(u64::MAX)).await;
        let newest = match newest {
            Ok(Ok((newest, _))) => newest.map(|loaded| loaded.body),
            Ok(Err(error)) => return tracing::warn!(%error, "old days of the log were not removed"),
            Err(_) => return,
        };
        let needed = |log: &Log| {
            let none_read = vec![0; log.end_offsets().len()];
            newest.as_ref().map_or(none_read.clone(), |newest| newest.needed(log.topic(), none_read))
        };
        let read = self.read.iter().map(|log| (log, Some(needed(log))));
        for (log, needed) in read.chain(self.told.iter().map(|log| (log, None))) {
            let retention = Retention { age: Span::days(i64::from(self.log_days)), needed, ..Retention::default() };
            match log.retain(retention, wall_clock()).await {
                Ok(days) => days.iter().for_each(|d| tracing::info!(file = %d.file.display(), "a day of the log was removed")),
                Err(error) => tracing::warn!(%error, "old days of the log were not removed"),
            }
        }
    }
}

impl ReadUpTo {
    /// By partition of `topic`, over zeros.
    fn needed(&self, topic: &str, mut needed: Vec<u64>) -> Vec<u64> {
        for (name, at) in self.partitions.iter().zip(&self.lane.partitions) {
            if let (true, Some(from)) = (name.topic == topic, needed.get_mut(name.number as usize)) {
                *from = at.next_offset;
            }
        }
        needed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::Disk;
    use crate::ingest::log::NewRecord;

    #[tokio::test(flavor = "multi_thread")]
    async fn what_no_checkpoint_stands_past_stays_and_what_was_told_goes() {
        let folder = tempfile::tempdir().unwrap();
        let log = |topic: &str| {
            let log = Log::open(folder.path(), topic, 1).unwrap();
            for days in [100, 1] {
                let broker_time = Some(wall_clock() - Span::days(days));
                log.append_blocking(vec![NewRecord { value: "{}".into(), broker_time, ..NewRecord::default() }]).unwrap();
            }
            log
        };
        let (read, told) = tokio::task::block_in_place(|| (log("ioc.events"), log("ioc.alerts")));
        let checkpoints = Checkpoints::open(Disk::Real, &folder.path().join("checkpoints")).unwrap();
        let house =
            House { read: vec![read.clone()], told: Some(told.clone()), log_days: 7, checkpoints: checkpoints.clone(), store: None };
        house.retain_logs().await;
        assert_eq!((read.start_offsets(), told.start_offsets()), (vec![0], vec![1]));
        let past = serde_json::json!({"lane": {"partitions": [{"next_offset": 1}]}, "partitions": [{"topic": "ioc.events", "number": 0}]});
        checkpoints.write(1, 1, &past).unwrap();
        house.retain_logs().await;
        assert_eq!(read.start_offsets(), [1]);
    }
}
