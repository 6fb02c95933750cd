//! Refused records with their bytes (D5), in SQLite: to be listed, shown, driven again.
//!
//! Owns: `rejected.sqlite`: what was refused, what was driven again and what became of that. Refuses to know: why a record was refused
//! beyond what it is told, where records are appended.
//!
//! Invariants
//! 1. A record is kept once, by partition and offset: telling it again after a crash changes nothing.
//! 2. At most [`KEPT`] are kept; the oldest make room.
//! 3. A redrive has a ticket before the record enters the log, and its verdict once, from the committed tick that judged it: told again
//!    after a crash, the first stands. What has none is said to have none.
//!
//! Called by: driver (gate, recovery), cli (`ioc rejected`), server through app.

use super::kept::{self, headers_of, headers_text};
use crate::disk::database::{self, DatabaseError, InFile};
use crate::engine::collect::Refused;
use crate::ingest::PartitionName;
use crate::time::Timestamp;
use rusqlite::{Connection, Row, ToSql, params};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Records kept at most.
pub const KEPT: u64 = 1_000_000;
/// Header of a record that was driven again: its ticket in decimal digits.
pub const TICKET_HEADER: &str = "ioc_redriven";
const FORMAT: i64 = 2;
const SCHEMA: &str = "CREATE TABLE rejected(
    number INTEGER PRIMARY KEY, topic TEXT NOT NULL, partition INTEGER NOT NULL, offset INTEGER NOT NULL, broker_time INTEGER,
    reason TEXT NOT NULL, path TEXT NOT NULL, at INTEGER NOT NULL, detail TEXT NOT NULL, source TEXT, raw BLOB NOT NULL, headers TEXT,
    UNIQUE(topic, partition, offset));
    CREATE TABLE redriven(ticket INTEGER PRIMARY KEY AUTOINCREMENT, number INTEGER NOT NULL, at INTEGER NOT NULL, who TEXT NOT NULL,
    topic TEXT, partition INTEGER, offset INTEGER, verdict TEXT, verdicts TEXT, reason TEXT);
    CREATE INDEX redriven_number ON redriven(number)";
/// From format 1, which had neither headers nor redrives.
const FROM_1: &str = "ALTER TABLE rejected ADD COLUMN headers TEXT;
    CREATE TABLE redriven(ticket INTEGER PRIMARY KEY AUTOINCREMENT, number INTEGER NOT NULL, at INTEGER NOT NULL, who TEXT NOT NULL,
    topic TEXT, partition INTEGER, offset INTEGER, verdict TEXT, verdicts TEXT, reason TEXT);
    CREATE INDEX redriven_number ON redriven(number)";
const COLUMNS: &str = "number, topic, partition, offset, broker_time, reason, path, at, detail, source, raw, headers";

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
    /// Of a record in binary mode; else empty.
    #[serde(skip)]
    pub headers: Vec<(String, Vec<u8>)>,
    /// The last time it was driven again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redriven: Option<Redriven>,
}

/// Which of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wanted {
    /// "schema" or "schema.required".
    pub reason: Option<String>,
    /// Only those with smaller numbers: the next page.
    pub before: Option<i64>,
    /// Taken by the log at this time or later.
    pub since: Option<Timestamp>,
    /// Only those that were never driven again.
    pub undriven: bool,
    pub limit: usize,
}

/// What became of a record that was driven again.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Redriven {
    pub ticket: i64,
    /// Of the refused record.
    pub number: i64,
    pub at: Timestamp,
    pub by: String,
    /// Where it lies now; `None`: not known to have entered the log.
    pub place: Option<Place>,
    /// The most that any pipeline made of it: accepted, late, duplicate, unwanted; or rejected. `None`: not judged yet.
    pub verdict: Option<String>,
    /// By pipeline; empty where it was rejected.
    pub verdicts: BTreeMap<String, String>,
    /// Why it was rejected again: "schema.required".
    pub reason: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Place {
    pub topic: String,
    pub partition: i32,
    pub offset: u64,
}

/// A verdict on a record that was driven again, from the tick that judged it.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    pub ticket: i64,
    pub partition: PartitionName,
    pub offset: u64,
    pub verdict: &'static str,
    pub verdicts: BTreeMap<String, String>,
    pub reason: Option<String>,
}

pub struct RejectedStore {
    path: PathBuf,
    connection: Connection,
}

impl RejectedStore {
    pub fn open(folder: &Path) -> Result<RejectedStore, DatabaseError> {
        let path = folder.join("rejected.sqlite");
        let connection = database::create(&path, FORMAT, SCHEMA)?;
        kept::migrate(&path, &connection, FORMAT, FROM_1)?;
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
                "INSERT OR IGNORE INTO rejected(topic, partition, offset, broker_time, reason, path, at, detail, source, raw, headers)
                 VALUES (?,?,?,?,?,?,?,?,?,?,?)",
            )?;
            for (name, r) in refused {
                let why = &r.rejected;
                let (offset, time) = (r.offset as i64, r.broker_time.map(|t| t.0));
                let code = why.code();
                let values: [&dyn ToSql; 11] = [
                    &name.topic,
                    &name.number,
                    &offset,
                    &time,
                    &code,
                    &why.path,
                    &why.at,
                    &why.detail,
                    &why.source,
                    &r.raw,
                    &headers_text(&r.headers),
                ];
                insert.execute(&values[..])?;
            }
            transaction.execute("DELETE FROM rejected WHERE number <= (SELECT max(number) FROM rejected) - ?", [KEPT as i64])?;
            Ok(())
        };
        kept().in_file(&self.path, "keep rejected records")?;
        transaction.commit().in_file(&self.path, "keep rejected records")
    }

    /// Newest first, each with its last redrive.
    pub fn list(&self, wanted: &Wanted) -> Result<Vec<Kept>, DatabaseError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM rejected WHERE (?1 IS NULL OR reason = ?1 OR reason LIKE ?1 || '.%') AND (?2 IS NULL OR number < ?2)
             AND (?3 IS NULL OR broker_time >= ?3) AND (NOT ?4 OR number NOT IN (SELECT number FROM redriven))
             ORDER BY number DESC LIMIT ?5"
        );
        let since = wanted.since.map(|t| t.0);
        self.read(&sql, params![wanted.reason, wanted.before, since, wanted.undriven, wanted.limit as i64])
    }

    pub fn get(&self, number: i64) -> Result<Option<Kept>, DatabaseError> {
        Ok(self.read(&format!("SELECT {COLUMNS} FROM rejected WHERE number = ?"), params![number])?.pop())
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
                    headers: headers_of(r.get(11)?),
                    redriven: None,
                })
            })?;
            rows.collect()
        };
        let mut kept = rows().in_file(&self.path, "read rejected records")?;
        for each in &mut kept {
            each.redriven = self.redriven("number = ?1 ORDER BY ticket DESC LIMIT 1", each.number)?.pop();
        }
        Ok(kept)
    }

    /// A ticket for each record that is about to be driven again, in their order.
    pub fn begin_redrive(&mut self, numbers: &[i64], at: Timestamp, by: &str) -> Result<Vec<i64>, DatabaseError> {
        let transaction = self.connection.transaction().in_file(&self.path, "begin a redrive")?;
        let tickets = numbers.iter().map(|number| {
            transaction.execute("INSERT INTO redriven(number, at, who) VALUES (?,?,?)", params![number, at.0, by])?;
            Ok(transaction.last_insert_rowid())
        });
        let tickets = tickets.collect::<rusqlite::Result<_>>().in_file(&self.path, "begin a redrive")?;
        transaction.commit().in_file(&self.path, "begin a redrive")?;
        Ok(tickets)
    }

    /// Where a ticket's record came to lie.
    pub fn placed(&mut self, ticket: i64, place: &Place) -> Result<(), DatabaseError> {
        let sql = "UPDATE redriven SET topic = ?, partition = ?, offset = ? WHERE ticket = ? AND offset IS NULL";
        let done = self.connection.execute(sql, params![place.topic, place.partition, place.offset as i64, ticket]);
        done.map(drop).in_file(&self.path, "keep where a record was driven to")
    }

    /// Keeps verdicts of one commit; a ticket that has one keeps it.
    pub fn judged(&mut self, judged: &[Judged]) -> Result<(), DatabaseError> {
        if judged.is_empty() {
            return Ok(());
        }
        let transaction = self.connection.transaction().in_file(&self.path, "keep verdicts on what was driven again")?;
        let kept = || -> rusqlite::Result<()> {
            for j in judged {
                let verdicts = serde_json::to_string(&j.verdicts).unwrap_or_default();
                transaction.execute(
                    "UPDATE redriven SET topic = ?, partition = ?, offset = ?, verdict = ?, verdicts = ?, reason = ?
                     WHERE ticket = ? AND verdict IS NULL",
                    params![j.partition.topic, j.partition.number, j.offset as i64, j.verdict, verdicts, j.reason, j.ticket],
                )?;
            }
            Ok(())
        };
        kept().in_file(&self.path, "keep verdicts on what was driven again")?;
        transaction.commit().in_file(&self.path, "keep verdicts on what was driven again")
    }

    /// What became of a ticket.
    pub fn ticket(&self, ticket: i64) -> Result<Option<Redriven>, DatabaseError> {
        Ok(self.redriven("ticket = ?1", ticket)?.pop())
    }

    fn redriven(&self, which: &str, value: i64) -> Result<Vec<Redriven>, DatabaseError> {
        let sql =
            format!("SELECT ticket, number, at, who, topic, partition, offset, verdict, verdicts, reason FROM redriven WHERE {which}");
        let rows = || -> rusqlite::Result<Vec<Redriven>> {
            let mut statement = self.connection.prepare_cached(&sql)?;
            statement.query_map([value], redriven_of)?.collect()
        };
        rows().in_file(&self.path, "read what was driven again")
    }
}

fn redriven_of(r: &Row<'_>) -> rusqlite::Result<Redriven> {
    let place = match (r.get::<_, Option<String>>(4)?, r.get::<_, Option<i32>>(5)?, r.get::<_, Option<i64>>(6)?) {
        (Some(topic), Some(partition), Some(offset)) => Some(Place { topic, partition, offset: offset as u64 }),
        _ => None,
    };
    let verdicts: Option<String> = r.get(8)?;
    Ok(Redriven {
        ticket: r.get(0)?,
        number: r.get(1)?,
        at: Timestamp(r.get(2)?),
        by: r.get(3)?,
        place,
        verdict: r.get(7)?,
        verdicts: verdicts.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default(),
        reason: r.get(9)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Reason, Rejected};

    fn refused(offset: u64) -> (PartitionName, Refused) {
        let rejected = Rejected {
            reason: Reason::Schema,
            what: "required".into(),
            path: "data.count".into(),
            at: 3,
            detail: "missing".into(),
            source: Some("T1".into()),
        };
        let headers = vec![("ce_id".to_owned(), b"1".to_vec())];
        let refused = Refused { offset, broker_time: Some(Timestamp(offset as i64)), rejected, raw: b"{}".to_vec(), headers };
        (PartitionName { topic: "ioc.events".into(), number: 2 }, refused)
    }

    fn all() -> Wanted {
        Wanted { limit: 10, ..Wanted::default() }
    }

    /// D5: kept once with bytes and headers, however often it is told; pages and filters.
    #[test]
    fn d5_a_record_is_kept_once() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = RejectedStore::open(folder.path()).unwrap();
        store.keep(&[refused(1), refused(2), refused(3)]).unwrap();
        store.keep(&[refused(2)]).unwrap();
        let numbers = |wanted: &Wanted| store.list(wanted).unwrap().iter().map(|k| k.number).collect::<Vec<_>>();
        assert_eq!(numbers(&all()), [3, 2, 1]);
        assert_eq!(numbers(&Wanted { before: Some(3), limit: 1, ..all() }), [2]);
        assert_eq!(numbers(&Wanted { since: Some(Timestamp(2)), ..all() }), [3, 2]);
        assert_eq!(numbers(&Wanted { reason: Some("schema".into()), ..all() }), [3, 2, 1]);
        assert_eq!(numbers(&Wanted { reason: Some("sch".into()), ..all() }), [0; 0]);
        let kept = store.get(1).unwrap().unwrap();
        assert_eq!((kept.raw.as_slice(), kept.headers), (&b"{}"[..], vec![("ce_id".to_owned(), b"1".to_vec())]));
    }

    /// D5: a redrive without a verdict says so; the first verdict stands.
    #[test]
    fn d5_a_redrive_keeps_its_first_verdict() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = RejectedStore::open(folder.path()).unwrap();
        store.keep(&[refused(1), refused(2)]).unwrap();
        let tickets = store.begin_redrive(&[1, 2], Timestamp(9), "Lan").unwrap();
        assert_eq!(store.get(2).unwrap().unwrap().redriven.unwrap().verdict, None);
        let place = Place { topic: "ioc.events".into(), partition: 2, offset: 77 };
        store.placed(tickets[0], &place).unwrap();
        let judged = |verdict| Judged {
            ticket: tickets[0],
            partition: PartitionName { topic: "ioc.events".into(), number: 2 },
            offset: 77,
            verdict,
            verdicts: BTreeMap::from([("p".to_owned(), verdict.to_owned())]),
            reason: None,
        };
        store.judged(&[judged("accepted")]).unwrap();
        store.judged(&[judged("duplicate")]).unwrap();
        let redriven = store.ticket(tickets[0]).unwrap().unwrap();
        assert_eq!((redriven.verdict.as_deref(), redriven.place), (Some("accepted"), Some(place)));
        assert_eq!(store.list(&Wanted { undriven: true, ..all() }).unwrap(), []);
    }

    #[test]
    fn a_file_of_the_first_format_is_taken_over() {
        let folder = tempfile::tempdir().unwrap();
        let old = "CREATE TABLE rejected(
            number INTEGER PRIMARY KEY, topic TEXT NOT NULL, partition INTEGER NOT NULL, offset INTEGER NOT NULL, broker_time INTEGER,
            reason TEXT NOT NULL, path TEXT NOT NULL, at INTEGER NOT NULL, detail TEXT NOT NULL, source TEXT, raw BLOB NOT NULL,
            UNIQUE(topic, partition, offset));
            INSERT INTO rejected VALUES (1, 't', 0, 5, NULL, 'bytes.syntax', '', 0, 'd', NULL, x'7b')";
        drop(database::create(&folder.path().join("rejected.sqlite"), 1, old).unwrap());
        for _ in 0..2 {
            let mut store = RejectedStore::open(folder.path()).unwrap();
            assert_eq!(store.get(1).unwrap().unwrap().headers, []);
            store.begin_redrive(&[1], Timestamp(0), "x").unwrap();
        }
    }
}
