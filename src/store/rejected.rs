//! Refused records with their bytes (D5), in SQLite: to be listed, shown, driven again.
//!
//! Owns: `rejected.sqlite`. Refuses to know: why a record was refused beyond what it is told.
//!
//! Invariants
//! 1. A record is kept once, by partition and offset: telling it again after a crash changes nothing.
//! 2. At most [`KEPT`] are kept; the oldest make room.
//!
//! Called by: driver (gate), cli (`ioc rejected`).

use crate::disk::database::{self, DatabaseError, InFile};
use crate::engine::collect::Refused;
use crate::ingest::PartitionName;
use crate::time::Timestamp;
use rusqlite::{Connection, params};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Records kept at most.
pub const KEPT: u64 = 1_000_000;
const FORMAT: i64 = 1;
const SCHEMA: &str = "CREATE TABLE rejected(
    number INTEGER PRIMARY KEY, topic TEXT NOT NULL, partition INTEGER NOT NULL, offset INTEGER NOT NULL, broker_time INTEGER,
    reason TEXT NOT NULL, path TEXT NOT NULL, at INTEGER NOT NULL, detail TEXT NOT NULL, source TEXT, raw BLOB NOT NULL,
    UNIQUE(topic, partition, offset))";

/// One refused record as kept.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Kept {
    pub number: i64,
    pub topic: String,
    pub partition: i32,
    pub offset: u64,
    pub broker_time: Option<Timestamp>,
    /// "schema.required"
    pub reason: String,
    pub path: String,
    pub at: u32,
    pub detail: String,
    pub source: Option<String>,
    #[serde(skip)]
    pub raw: Vec<u8>,
}

pub struct RejectedStore {
    path: PathBuf,
    connection: Connection,
}

impl RejectedStore {
    pub fn open(folder: &Path) -> Result<RejectedStore, DatabaseError> {
        let path = folder.join("rejected.sqlite");
        let connection = database::create(&path, FORMAT, SCHEMA)?;
        Ok(RejectedStore { path, connection })
    }

    /// Keeps records of one commit.
    pub fn keep(&mut self, refused: &[(PartitionName, Refused)]) -> Result<(), DatabaseError> {
        if refused.is_empty() {
            return Ok(());
        }
        let transaction = self.connection.transaction().in_file(&self.path, "begin keeping rejected records")?;
        let kept = || -> rusqlite::Result<()> {
            let mut insert = transaction.prepare_cached(
                "INSERT OR IGNORE INTO rejected(topic, partition, offset, broker_time, reason, path, at, detail, source, raw)
                 VALUES (?,?,?,?,?,?,?,?,?,?)",
            )?;
            for (name, r) in refused {
                let why = &r.rejected;
                let time = r.broker_time.map(|t| t.0);
                insert.execute(params![
                    name.topic,
                    name.number,
                    r.offset as i64,
                    time,
                    why.code(),
                    why.path,
                    why.at,
                    why.detail,
                    why.source,
                    r.raw
                ])?;
            }
            transaction.execute("DELETE FROM rejected WHERE number <= (SELECT max(number) FROM rejected) - ?", [KEPT as i64])?;
            Ok(())
        };
        kept().in_file(&self.path, "keep rejected records")?;
        transaction.commit().in_file(&self.path, "keep rejected records")
    }

    /// Newest first.
    pub fn list(&self, limit: usize, reason: Option<&str>) -> Result<Vec<Kept>, DatabaseError> {
        let sql = "SELECT number, topic, partition, offset, broker_time, reason, path, at, detail, source, raw FROM rejected
                   WHERE ?1 IS NULL OR reason = ?1 OR reason LIKE ?1 || '.%' ORDER BY number DESC LIMIT ?2";
        self.read(sql, params![reason, limit as i64])
    }

    pub fn get(&self, number: i64) -> Result<Option<Kept>, DatabaseError> {
        let sql =
            "SELECT number, topic, partition, offset, broker_time, reason, path, at, detail, source, raw FROM rejected WHERE number = ?";
        Ok(self.read(sql, params![number])?.pop())
    }

    fn read(&self, sql: &str, params: impl rusqlite::Params) -> Result<Vec<Kept>, DatabaseError> {
        let rows = || -> rusqlite::Result<Vec<Kept>> {
            let mut statement = self.connection.prepare(sql)?;
            let rows = statement.query_map(params, |r| {
                Ok(Kept {
                    number: r.get(0)?,
                    topic: r.get(1)?,
                    partition: r.get(2)?,
                    offset: r.get::<_, i64>(3)? as u64,
                    broker_time: r.get::<_, Option<i64>>(4)?.map(Timestamp),
                    reason: r.get(5)?,
                    path: r.get(6)?,
                    at: r.get(7)?,
                    detail: r.get(8)?,
                    source: r.get(9)?,
                    raw: r.get(10)?,
                })
            })?;
            rows.collect()
        };
        rows().in_file(&self.path, "read rejected records")
    }
}
