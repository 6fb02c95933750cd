//! The files of a log: one SQLite database a UTC day.
//!
//! Owns: the tables, what of each partition lies in which day ([`State`]), records as columns. Refuses to know: threads, clocks.
//!
//! Invariants
//! 1. A day's file says at which offset and time each partition stood when it was made, so that nothing is forgotten when older days go.
//! 2. The ranges of a partition follow one another from day to day without hole or overlap.
//!
//! Called by: writer.rs, reader.rs.

use super::{BATCH_BYTES, Header, LogError, Record};
use crate::disk::database::{self, DatabaseError, InFile, NANOS_PER_DAY};
use crate::time::Timestamp;
use bytes::Bytes;
use rusqlite::{Connection, params};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const FORMAT: i64 = 1;
const SCHEMA: &str = "
    CREATE TABLE records(partition INTEGER NOT NULL, offset INTEGER NOT NULL, broker_time INTEGER NOT NULL, key BLOB, headers BLOB,
        value BLOB NOT NULL, PRIMARY KEY(partition, offset)) WITHOUT ROWID;
    CREATE TABLE stood(partition INTEGER PRIMARY KEY, next_offset INTEGER NOT NULL, broker_time INTEGER NOT NULL)";

/// What lies where.
pub(super) struct State {
    /// By day since 1970-01-01.
    pub days: BTreeMap<i64, Day>,
    pub partitions: Vec<PartitionState>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct PartitionState {
    pub next_offset: u64,
    /// The greatest broker_time so far.
    pub broker_time: Timestamp,
}

/// Of a partition that has no record.
const NOTHING: PartitionState = PartitionState { next_offset: 0, broker_time: Timestamp::MIN };

/// The days' files with their days.
fn files(folder: &Path) -> Result<Vec<(i64, PathBuf)>, LogError> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).in_file(folder, "list the folder")? {
        let entry = entry.in_file(folder, "list the folder")?;
        if let Some(day) = entry.file_name().to_str().and_then(database::day_of_name) {
            files.push((day, entry.path()));
        }
    }
    Ok(files)
}

pub(super) struct Day {
    pub path: PathBuf,
    /// By partition: offsets `[first, end)` that lie here; equal where none do.
    pub ranges: Vec<(u64, u64)>,
}

impl Day {
    /// A record at or after `needed` (by partition) lies here.
    pub fn holds(&self, needed: &[u64]) -> bool {
        self.ranges.iter().enumerate().any(|(p, (first, end))| first < end && needed.get(p).is_none_or(|from| from < end))
    }
}

impl State {
    pub fn load(folder: &Path, topic: &str, partitions: u32) -> Result<State, LogError> {
        let mut state = State { days: BTreeMap::new(), partitions: vec![NOTHING; partitions as usize] };
        for (day, path) in files(folder)? {
            state.load_day(day, path, topic)?;
        }
        state.raise_to_oldest_day();
        Ok(state)
    }

    /// The same for who looks on while another process writes: nothing is made, mended or removed.
    pub fn look(folder: &Path, topic: &str) -> Result<State, LogError> {
        let mut state = State { days: BTreeMap::new(), partitions: Vec::new() };
        for (day, path) in files(folder)? {
            let connection = match database::open_reader(&path) {
                Err(_) if !path.exists() => continue,
                opened => opened?,
            };
            let format: i64 =
                connection.query_row("PRAGMA user_version", [], |row| row.get(0)).in_file(&path, "read the format of the log's day")?;
            // 0: it is being made
            if format > 0 {
                state.add_day(day, path, &connection, topic)?;
            }
        }
        Ok(state)
    }

    fn load_day(&mut self, day: i64, path: PathBuf, topic: &str) -> Result<(), LogError> {
        let connection = open(&path)?;
        if !self.add_day(day, path.clone(), &connection, topic)? {
            // killed while the file was being made: nothing was ever written to it
            drop(connection);
            database::remove(&path)?;
        }
        Ok(())
    }

    /// False: nothing was ever written to it.
    fn add_day(&mut self, day: i64, path: PathBuf, connection: &Connection, topic: &str) -> Result<bool, LogError> {
        let stood = load_stood(connection).in_file(&path, "read where the partitions stood")?;
        if stood.is_empty() {
            return Ok(false);
        }
        if self.partitions.is_empty() {
            self.partitions = vec![NOTHING; stood.len()];
        }
        if stood.len() != self.partitions.len() {
            let asked = self.partitions.len() as u32;
            return Err(LogError::Partitions { topic: topic.to_owned(), found: stood.len() as u32, asked });
        }
        let mut ranges = Vec::new();
        for (partition, stood) in stood.iter().enumerate() {
            let found = load_range(connection, partition).in_file(&path, "read the range of a partition")?;
            let known = &mut self.partitions[partition];
            known.next_offset = known.next_offset.max(stood.next_offset);
            known.broker_time = known.broker_time.max(stood.broker_time);
            if let Some((_, last, time)) = found {
                known.next_offset = known.next_offset.max(last + 1);
                known.broker_time = known.broker_time.max(time);
            }
            ranges.push(found.map_or((0, 0), |(first, last, _)| (first, last + 1)));
        }
        self.days.insert(day, Day { path, ranges });
        Ok(true)
    }

    /// Nothing is written before the oldest day kept: who removed a day has removed it for good.
    pub fn raise_to_oldest_day(&mut self) {
        if let Some((day, _)) = self.days.first_key_value() {
            let floor = Timestamp(day * NANOS_PER_DAY);
            self.partitions.iter_mut().for_each(|p| p.broker_time = p.broker_time.max(floor));
        }
    }

    pub fn ends(&self) -> Vec<u64> {
        self.partitions.iter().map(|p| p.next_offset).collect()
    }

    pub fn starts(&self) -> Vec<u64> {
        let start = |p: usize| self.days.values().map(|d| d.ranges[p]).find(|(first, end)| first < end).map(|(first, _)| first);
        (0..self.partitions.len()).map(|p| start(p).unwrap_or(self.partitions[p].next_offset)).collect()
    }

    /// The days that hold records of `partition` at or after `offset`, oldest first.
    pub fn days_from(&self, partition: usize, offset: u64) -> impl Iterator<Item = (i64, &Day)> {
        self.days.iter().map(|(day, d)| (*day, d)).filter(move |(_, d)| {
            let (first, end) = d.ranges[partition];
            first < end && offset < end
        })
    }
}

pub(super) fn open(path: &Path) -> Result<Connection, DatabaseError> {
    database::create(path, FORMAT, SCHEMA)
}

/// Makes the file of a day that has none.
pub(super) fn create(path: &Path, stood: &[PartitionState]) -> Result<Connection, DatabaseError> {
    let rows: Vec<String> = stood.iter().enumerate().map(|(p, s)| format!("({p},{},{})", s.next_offset, s.broker_time.0)).collect();
    database::create(path, FORMAT, &format!("{SCHEMA}; INSERT INTO stood VALUES {}", rows.join(",")))
}

fn load_stood(connection: &Connection) -> rusqlite::Result<Vec<PartitionState>> {
    let mut query = connection.prepare("SELECT next_offset, broker_time FROM stood ORDER BY partition")?;
    let rows =
        query.query_map([], |r| Ok(PartitionState { next_offset: r.get::<_, i64>(0)? as u64, broker_time: Timestamp(r.get(1)?) }))?;
    rows.collect()
}

/// First offset, last offset, last broker_time.
fn load_range(connection: &Connection, partition: usize) -> rusqlite::Result<Option<(u64, u64, Timestamp)>> {
    let end = |order: &str| -> rusqlite::Result<Option<(u64, Timestamp)>> {
        let sql = format!("SELECT offset, broker_time FROM records WHERE partition = ? ORDER BY offset {order} LIMIT 1");
        let mut query = connection.prepare(&sql)?;
        let mut rows = query.query([partition as i64])?;
        let Some(row) = rows.next()? else { return Ok(None) };
        Ok(Some((row.get::<_, i64>(0)? as u64, Timestamp(row.get(1)?))))
    };
    Ok(end("ASC")?.zip(end("DESC")?).map(|((first, _), (last, time))| (first, last, time)))
}

pub(super) struct PlacedRecord<'a> {
    pub partition: u32,
    pub offset: u64,
    pub broker_time: Timestamp,
    pub key: Option<&'a [u8]>,
    pub headers: &'a [Header],
    pub value: &'a [u8],
}

/// One transaction: durable when it returns.
pub(super) fn insert(connection: &mut Connection, records: &[PlacedRecord<'_>]) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    {
        let mut insert = transaction.prepare_cached("INSERT INTO records VALUES (?, ?, ?, ?, ?, ?)")?;
        let mut headers = Vec::new();
        for r in records {
            headers.clear();
            encode_headers(r.headers, &mut headers);
            let some_headers = (!headers.is_empty()).then_some(headers.as_slice());
            insert.execute(params![r.partition, r.offset as i64, r.broker_time.0, r.key, some_headers, r.value])?;
        }
    }
    transaction.commit()
}

/// Records of one partition in `[offset, end)`, appended to `out` until it has `limit` or their values [`BATCH_BYTES`]; whether there is
/// room left.
pub(super) fn select(
    connection: &Connection,
    partition: u32,
    (offset, end): (u64, u64),
    limit: usize,
    out: &mut Vec<Record>,
) -> rusqlite::Result<bool> {
    let mut query = connection.prepare_cached(
        "SELECT offset, broker_time, key, headers, value FROM records WHERE partition = ? AND offset >= ? AND offset < ? ORDER BY offset",
    )?;
    let mut rows = query.query(params![partition, offset as i64, end as i64])?;
    let mut bytes: usize = out.iter().map(|r| r.value.len()).sum();
    while out.len() < limit && bytes < BATCH_BYTES {
        let Some(row) = rows.next()? else { return Ok(true) };
        let blob = |i: usize| row.get::<_, Option<Vec<u8>>>(i).map(|bytes| bytes.map(Bytes::from));
        let record = Record {
            offset: row.get::<_, i64>(0)? as u64,
            broker_time: Timestamp(row.get(1)?),
            key: blob(2)?,
            headers: blob(3)?.map_or(Vec::new(), |bytes| decode_headers(&bytes)),
            value: blob(4)?.unwrap_or_default(),
        };
        bytes += record.value.len();
        out.push(record);
    }
    Ok(false)
}

/// The first offset in `[first, end)` whose broker_time is at least `t`; `end` if none. Times never go back, so halving finds it.
pub(super) fn seek(connection: &Connection, partition: u32, (first, end): (u64, u64), t: Timestamp) -> rusqlite::Result<u64> {
    let mut query = connection.prepare_cached("SELECT broker_time FROM records WHERE partition = ? AND offset = ?")?;
    let (mut low, mut high) = (first, end);
    while low < high {
        let middle = low + (high - low) / 2;
        let time: i64 = query.query_row(params![partition, middle as i64], |r| r.get(0))?;
        if time >= t.0 { high = middle } else { low = middle + 1 }
    }
    Ok(low)
}

/// Name and value of each header, each with its length before it (u32, little endian).
fn encode_headers(headers: &[Header], out: &mut Vec<u8>) {
    for (name, value) in headers {
        for bytes in [name.as_bytes(), value] {
            out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
            out.extend_from_slice(bytes);
        }
    }
}

/// The inverse; stops at the first thing that is no header.
fn decode_headers(bytes: &Bytes) -> Vec<Header> {
    let mut at = 0;
    let mut next = || {
        let len = bytes.get(at..at + 4)?;
        let len = u32::from_le_bytes([len[0], len[1], len[2], len[3]]) as usize;
        let range = at + 4..(at + 4).checked_add(len)?;
        (range.end <= bytes.len()).then(|| {
            at = range.end;
            bytes.slice(range)
        })
    };
    let mut headers = Vec::new();
    while let (Some(name), Some(value)) = (next(), next()) {
        let Ok(name) = std::str::from_utf8(&name) else { break };
        headers.push((name.into(), value));
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_come_back() {
        let headers: Vec<Header> = vec![("ce_id".into(), Bytes::from_static(b"1")), ("".into(), Bytes::new())];
        let mut bytes = Vec::new();
        encode_headers(&headers, &mut bytes);
        assert_eq!(decode_headers(&Bytes::from(bytes.clone())), headers);
        for cut in 0..bytes.len() {
            assert!(decode_headers(&Bytes::copy_from_slice(&bytes[..cut])).len() <= 1);
        }
    }
}
