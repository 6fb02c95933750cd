//! Late records with their bytes (T4), in SQLite: to be listed; repair will read them.
//!
//! Owns: `late.sqlite`. Refuses to know: why a record was late.
//!
//! Invariants
//! 1. A record is kept once for each pipeline to which it was late, by partition and offset: telling it again changes nothing.
//! 2. At most [`KEPT`] are kept; the oldest make room.
//!
//! Called by: driver (gate, recovery), cli (`ioc late`), server through app.

use super::kept::headers_text;
use crate::disk::database::{self, DatabaseError, InFile};
use crate::engine::collect::Late;
use crate::ingest::PartitionName;
use crate::time::{Span, Timestamp};
use rusqlite::{Connection, ToSql, params};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Records kept at most.
pub const KEPT: u64 = 1_000_000;
const FORMAT: i64 = 1;
const SCHEMA: &str = "CREATE TABLE late(
    number INTEGER PRIMARY KEY, topic TEXT NOT NULL, partition INTEGER NOT NULL, offset INTEGER NOT NULL, pipeline TEXT NOT NULL,
    broker_time INTEGER, type TEXT NOT NULL, source TEXT NOT NULL, id TEXT NOT NULL, time INTEGER NOT NULL, delay INTEGER NOT NULL,
    raw BLOB NOT NULL, headers TEXT, UNIQUE(topic, partition, offset, pipeline))";

/// One late record as kept.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct KeptLate {
    pub number: i64,
    pub topic: String,
    pub partition: i32,
    pub offset: u64,
    pub pipeline: String,
    pub broker_time: Option<Timestamp>,
    #[serde(rename = "type")]
    pub kind: String,
    pub source: String,
    pub id: String,
    /// When it happened.
    pub time: Timestamp,
    /// Watermark minus event time.
    pub delay: Span,
    #[serde(skip)]
    pub raw: Vec<u8>,
}

/// Which of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WantedLate {
    pub pipeline: Option<String>,
    pub source: Option<String>,
    /// Only those with smaller numbers: the next page.
    pub before: Option<i64>,
    pub limit: usize,
}

/// A late event of one commit: the name of its pipeline, its partition.
pub type LateOf = (String, PartitionName, Late);

pub struct LateStore {
    path: PathBuf,
    connection: Connection,
}

impl LateStore {
    pub fn open(folder: &Path) -> Result<LateStore, DatabaseError> {
        let path = folder.join("late.sqlite");
        let connection = database::create(&path, FORMAT, SCHEMA)?;
        Ok(LateStore { path, connection })
    }

    /// Keeps records of one commit.
    pub fn keep(&mut self, late: &[LateOf]) -> Result<(), DatabaseError> {
        if late.is_empty() {
            return Ok(());
        }
        let transaction = self.connection.transaction().in_file(&self.path, "begin keeping late records")?;
        let kept = || -> rusqlite::Result<()> {
            let mut insert = transaction.prepare_cached(
                "INSERT OR IGNORE INTO late(topic, partition, offset, pipeline, broker_time, type, source, id, time, delay, raw, headers)
                 VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",
            )?;
            for (pipeline, name, l) in late {
                let (offset, broker_time) = (l.offset as i64, l.broker_time.map(|t| t.0));
                let (time, delay, headers) = (l.time.0, l.delay.0, headers_text(&l.headers));
                let values: [&dyn ToSql; 12] = [
                    &name.topic,
                    &name.number,
                    &offset,
                    pipeline,
                    &broker_time,
                    &l.kind,
                    &l.source,
                    &l.id,
                    &time,
                    &delay,
                    &l.raw,
                    &headers,
                ];
                insert.execute(&values[..])?;
            }
            transaction.execute("DELETE FROM late WHERE number <= (SELECT max(number) FROM late) - ?", [KEPT as i64])?;
            Ok(())
        };
        kept().in_file(&self.path, "keep late records")?;
        transaction.commit().in_file(&self.path, "keep late records")
    }

    /// Newest first.
    pub fn list(&self, wanted: &WantedLate) -> Result<Vec<KeptLate>, DatabaseError> {
        let rows = || -> rusqlite::Result<Vec<KeptLate>> {
            let mut statement = self.connection.prepare(
                "SELECT number, topic, partition, offset, pipeline, broker_time, type, source, id, time, delay, raw FROM late
                 WHERE (?1 IS NULL OR pipeline = ?1) AND (?2 IS NULL OR source = ?2) AND (?3 IS NULL OR number < ?3)
                 ORDER BY number DESC LIMIT ?4",
            )?;
            let rows = statement.query_map(params![wanted.pipeline, wanted.source, wanted.before, wanted.limit as i64], |r| {
                Ok(KeptLate {
                    number: r.get(0)?,
                    topic: r.get(1)?,
                    partition: r.get(2)?,
                    offset: r.get::<_, i64>(3)? as u64,
                    pipeline: r.get(4)?,
                    broker_time: r.get::<_, Option<i64>>(5)?.map(Timestamp),
                    kind: r.get(6)?,
                    source: r.get(7)?,
                    id: r.get(8)?,
                    time: Timestamp(r.get(9)?),
                    delay: Span(r.get(10)?),
                    raw: r.get(11)?,
                })
            })?;
            rows.collect()
        };
        rows().in_file(&self.path, "read late records")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// T4: a late event is kept once for each pipeline, however often it is told.
    #[test]
    fn t4_a_late_record_is_kept_once() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = LateStore::open(folder.path()).unwrap();
        let late = |pipeline: &str, offset: u64| {
            let late = Late {
                pipeline: 0,
                offset,
                kind: "traffic.loop".into(),
                source: format!("T{offset}"),
                id: "1".into(),
                time: Timestamp(5),
                delay: Span::minutes(9),
                broker_time: None,
                raw: b"{}".to_vec(),
                headers: Vec::new(),
            };
            (pipeline.to_owned(), PartitionName { topic: "ioc.events".into(), number: 0 }, late)
        };
        store.keep(&[late("a", 1), late("b", 1), late("a", 2)]).unwrap();
        store.keep(&[late("a", 1)]).unwrap();
        let of = |wanted: WantedLate| store.list(&WantedLate { limit: 9, ..wanted }).unwrap().iter().map(|k| k.number).collect::<Vec<_>>();
        assert_eq!(of(WantedLate::default()), [3, 2, 1]);
        assert_eq!(of(WantedLate { pipeline: Some("a".into()), ..WantedLate::default() }), [3, 1]);
        assert_eq!(of(WantedLate { source: Some("T1".into()), before: Some(2), ..WantedLate::default() }), [1]);
    }
}
