//! The journal: what happened, in the order in which it was decided. Recovery and replay feed on it (D2).
//!
//! Owns: `journal.sqlite` (ticks, changes of alerts, operators' acts, configuration by content, lost ranges, starts of the lane); the lock
//! and the epoch that keep a second writer out (D4). Refuses to know: how ticks are cut, what rules say, rows (they are computed again).
//!
//! Invariants
//! 1. An append is one transaction, durable when it returns; a tick whose record was lost never happened, and so did none after it: the
//!    journal holds a prefix of the ticks.
//! 2. Ticks are numbered without a hole.
//! 3. Who opened the journal last writes it: an append under an older epoch is refused. While the holder lives, opening is refused.
//! 4. Configuration is kept once per content, and what was in force at any kept tick can be read.
//!
//! In the file, alerts' and operators' changes are JSON text, to be read with `sqlite3`; ticks, ten a second, are JSON compressed per batch.
//!
//! Called by: driver::gate (writes), server (history of an alert), cli (replay, doctor).

mod reader;

pub use reader::{Change, JournalReader, Ticks};

use crate::disk::database::{self, DatabaseError, InFile};
use crate::engine::{AlertChange, HandlingChange, Tick, TickTime};
use crate::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::path::{Path, PathBuf};

const FORMAT: i64 = 1;
const SCHEMA: &str = "
    CREATE TABLE owner(one INTEGER PRIMARY KEY CHECK(one = 1), epoch INTEGER NOT NULL);
    INSERT INTO owner VALUES (1, 0);
    CREATE TABLE ticks(first INTEGER PRIMARY KEY, last INTEGER NOT NULL, time INTEGER NOT NULL, json_zstd BLOB NOT NULL);
    CREATE TABLE changes(tick INTEGER NOT NULL, place INTEGER NOT NULL, time INTEGER NOT NULL, kind TEXT NOT NULL, alert TEXT, json TEXT NOT NULL,
        PRIMARY KEY(tick, place)) WITHOUT ROWID;
    CREATE INDEX changes_by_alert ON changes(alert, tick, place) WHERE alert IS NOT NULL;
    CREATE TABLE contents(hash TEXT PRIMARY KEY, bytes INTEGER NOT NULL, zstd BLOB NOT NULL);
    CREATE TABLE configurations(tick INTEGER PRIMARY KEY, json TEXT NOT NULL)";

/// Made where it is missing: older files did not have it.
const TOLD: &str = "
    CREATE TABLE IF NOT EXISTS told(number INTEGER PRIMARY KEY AUTOINCREMENT, tick INTEGER NOT NULL, time INTEGER NOT NULL, alert TEXT NOT NULL,
        version INTEGER NOT NULL, sector TEXT NOT NULL, area TEXT, json TEXT NOT NULL)";

#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    #[error(transparent)]
    Database(#[from] DatabaseError),
    #[error("{}: another ioc writes this journal; this one stands by. Stop the other one to take over, or give another data folder", .0.display())]
    StandsBy(PathBuf),
    #[error("{}: epoch {ours} is over, another ioc took the journal with epoch {found}. This one must stop: nothing of its tick may leave", path.display())]
    Fenced { path: PathBuf, ours: u64, found: u64 },
    #[error("{}: tick {found} cannot follow tick {last}. This is a mistake of the program: please report it", path.display())]
    Gap { path: PathBuf, last: u64, found: u64 },
}

/// One tick with what it caused. Ticks without effect are entries too: they go with the next that has one.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct JournalEntry {
    pub tick: Tick,
    pub alerts: Vec<AlertChange>,
    pub handling: Vec<HandlingChange>,
    pub notes: Vec<Note>,
    /// In force from this tick on.
    pub configuration: Option<Configuration>,
    /// What other programs are told of `alerts` and `handling`; reading ticks leaves it empty.
    pub told: Vec<Told>,
}

/// An alert as it was after a change, as other programs are told.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Told {
    /// Rises by one with every change that is told, for ever.
    pub number: u64,
    pub tick: u64,
    pub time: TickTime,
    /// 32 hexadecimal digits.
    pub alert: String,
    pub version: u32,
    pub sector: String,
    pub area: Option<String>,
    /// The alert, a JSON object.
    pub json: String,
}

/// What else a lane must remember.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "note", rename_all = "snake_case")]
pub enum Note {
    /// A lane begins, or goes on after a restart.
    Started { lane: String, at: Timestamp, version: String },
    /// A partition joins the lane at the end of `Tick::partitions` and is read from `offset` on.
    Partition { index: u32, topic: String, partition: u32, offset: u64 },
    /// Records `[from, to)` were deleted before they were read (D1); the times are those of the records around them, where known.
    Lost { index: u32, from: u64, to: u64, after: Option<Timestamp>, before: Option<Timestamp> },
}

/// All files that decide results, by content.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Configuration {
    pub files: Vec<ConfigurationFile>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConfigurationFile {
    /// "pipelines/traffic.yaml": folder by kind, then the path within it.
    pub path: String,
    pub bytes: Vec<u8>,
}

impl Configuration {
    /// sha256 over paths and contents in order of path, 64 hex digits: equal configuration, equal hash.
    pub fn hash(&self) -> String {
        let mut files: Vec<_> = self.files.iter().map(|f| (f.path.as_str(), hex_sha256(&f.bytes))).collect();
        files.sort();
        let lines: Vec<String> = files.iter().map(|(path, hash)| format!("{hash} {path}\n")).collect();
        hex_sha256(lines.concat().as_bytes())
    }
}

/// How a configuration lies in the file.
#[derive(Serialize, Deserialize)]
struct FileReference {
    path: String,
    sha256: String,
}

fn hex_sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

/// The writing end. Blocking: it belongs to one thread.
pub struct Journal {
    path: PathBuf,
    connection: Connection,
    epoch: u64,
    last: Option<u64>,
    /// Number of the newest change that is told.
    told: u64,
    /// Held as long as this lives.
    _lock: File,
}

impl Journal {
    /// Opens or makes `folder/journal.sqlite` and fences whoever had it before.
    pub fn open(folder: &Path) -> Result<Journal, JournalError> {
        std::fs::create_dir_all(folder).in_file(folder, "make the folder")?;
        let path = folder.join("journal.sqlite");
        let lock = database::lock(&folder.join("journal.lock"))?.ok_or_else(|| JournalError::StandsBy(path.clone()))?;
        let connection = database::create(&path, FORMAT, SCHEMA)?;
        let epoch: i64 = connection
            .query_row("UPDATE owner SET epoch = epoch + 1 RETURNING epoch", [], |row| row.get(0))
            .in_file(&path, "take the journal")?;
        connection.execute_batch(TOLD).in_file(&path, "make a table")?;
        let told: Option<i64> = connection
            .query_row("SELECT seq FROM sqlite_sequence WHERE name = 'told'", [], |row| row.get(0))
            .optional()
            .in_file(&path, "read the newest change")?;
        let last = connection
            .query_row("SELECT last FROM ticks ORDER BY first DESC LIMIT 1", [], |row| row.get::<_, i64>(0))
            .optional()
            .in_file(&path, "read the last tick")?;
        Ok(Journal { path, connection, epoch: epoch as u64, last: last.map(|n| n as u64), told: told.unwrap_or(0) as u64, _lock: lock })
    }

    /// How often this journal was opened; greater than that of every earlier holder.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The last durable tick; `None` before the first.
    pub fn last_tick(&self) -> Option<u64> {
        self.last
    }

    /// Number of the newest change that is told; 0: none was. The next one's is greater by one.
    pub fn last_told(&self) -> u64 {
        self.told
    }

    /// One transaction: all entries are durable when it returns, or none is there.
    pub fn append(&mut self, entries: &[JournalEntry]) -> Result<(), JournalError> {
        let mut last = self.last;
        for entry in entries {
            if let Some(last) = last.filter(|n| n + 1 != entry.tick.number) {
                return Err(JournalError::Gap { path: self.path.clone(), last, found: entry.tick.number });
            }
            last = Some(entry.tick.number);
        }
        let (Some(first), Some(end)) = (entries.first(), entries.last()) else { return Ok(()) };
        let ticks = self.pack(entries)?;
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate).in_file(&self.path, "begin an append")?;
        let found: i64 = transaction.query_row("SELECT epoch FROM owner", [], |row| row.get(0)).in_file(&self.path, "read the epoch")?;
        if found as u64 != self.epoch {
            return Err(JournalError::Fenced { path: self.path.clone(), ours: self.epoch, found: found as u64 });
        }
        let row = params![first.tick.number as i64, end.tick.number as i64, end.tick.time.0, ticks];
        transaction
            .execute("INSERT INTO ticks VALUES (?, ?, ?, ?)", row)
            .and_then(|_| entries.iter().try_for_each(|entry| insert_changes(&transaction, entry)))
            .and_then(|()| transaction.commit())
            .in_file(&self.path, "append ticks")?;
        self.last = last;
        let newest = entries.iter().rev().find_map(|e| e.told.last());
        self.told = newest.map_or(self.told, |told| told.number);
        Ok(())
    }

    fn pack(&self, entries: &[JournalEntry]) -> Result<Vec<u8>, JournalError> {
        let ticks: Vec<&Tick> = entries.iter().map(|e| &e.tick).collect();
        let json = serde_json::to_vec(&ticks).map_err(|e| std::io::Error::other(e.to_string()));
        Ok(json.and_then(|json| zstd::bulk::compress(&json, 1)).in_file(&self.path, "write ticks as JSON")?)
    }

    /// A reading end with a connection of its own, for any thread.
    pub fn reader(&self) -> Result<JournalReader, JournalError> {
        JournalReader::open_file(&self.path)
    }

    /// Forgets ticks before `ticks_before`, as far as whole batches go (no checkpoint starts there any more), changes of alerts whose
    /// tick time is before `changes_before`, and what other programs are told of them before `told_before`. What is in force at the first kept tick stays.
    pub fn retain(&mut self, ticks_before: u64, changes_before: TickTime, told_before: TickTime) -> Result<(), JournalError> {
        let path = self.path.clone();
        (|| {
            let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            transaction.execute("DELETE FROM ticks WHERE last < ?1 AND first < (SELECT max(first) FROM ticks)", [ticks_before as i64])?;
            transaction.execute("DELETE FROM changes WHERE time < ?", [changes_before])?;
            transaction.execute("DELETE FROM told WHERE time < ?", [told_before])?;
            transaction.execute(
                "DELETE FROM configurations WHERE tick <
                    (SELECT max(tick) FROM configurations WHERE tick <= (SELECT min(first) FROM ticks))",
                [],
            )?;
            transaction.execute(
                "DELETE FROM contents WHERE hash NOT IN
                    (SELECT value ->> 'sha256' FROM configurations, json_each(configurations.json))",
                [],
            )?;
            transaction.commit()
        })()
        .in_file(&path, "forget old ticks")?;
        Ok(())
    }
}

fn insert_told(transaction: &Transaction<'_>, told: &Told) -> rusqlite::Result<()> {
    let row = params![told.number as i64, told.tick as i64, told.time, told.alert, told.version, told.sector, told.area, told.json];
    transaction.prepare_cached("INSERT INTO told VALUES (?, ?, ?, ?, ?, ?, ?, ?)")?.execute(row).map(|_| ())
}

fn insert_changes(transaction: &Transaction<'_>, entry: &JournalEntry) -> rusqlite::Result<()> {
    let tick = entry.tick.number as i64;
    let mut place = 0i64;
    let mut insert = transaction.prepare_cached("INSERT INTO changes VALUES (?, ?, ?, ?, ?, ?)")?;
    let mut put = |kind: &str, alert: Option<String>, json: serde_json::Result<String>| {
        let json = json.map_err(|e| rusqlite::Error::ToSqlConversionFailure(Box::new(e)))?;
        place += 1;
        insert.execute(params![tick, place, entry.tick.time.0, kind, alert, json])
    };
    for change in &entry.alerts {
        put("alert", Some(change.id.to_string()), serde_json::to_string(change))?;
    }
    for change in &entry.handling {
        put("handling", Some(change.action.alert.to_string()), serde_json::to_string(change))?;
    }
    for note in &entry.notes {
        put("note", None, serde_json::to_string(note))?;
    }
    for told in &entry.told {
        insert_told(transaction, told)?;
    }
    let Some(configuration) = &entry.configuration else { return Ok(()) };
    let mut references = Vec::new();
    for file in &configuration.files {
        let sha256 = hex_sha256(&file.bytes);
        let known: bool = transaction.query_row("SELECT EXISTS(SELECT 1 FROM contents WHERE hash = ?)", [&sha256], |row| row.get(0))?;
        if !known {
            let packed = zstd::bulk::compress(&file.bytes, 3).map_err(|e| rusqlite::Error::ToSqlConversionFailure(Box::new(e)))?;
            transaction.execute("INSERT INTO contents VALUES (?, ?, ?)", params![sha256, file.bytes.len() as i64, packed])?;
        }
        references.push(FileReference { path: file.path.clone(), sha256 });
    }
    let json = serde_json::to_string(&references).map_err(|e| rusqlite::Error::ToSqlConversionFailure(Box::new(e)))?;
    transaction.execute("INSERT INTO configurations VALUES (?, ?)", params![tick, json])?;
    Ok(())
}

#[cfg(test)]
mod tests;
