//! Reading the journal: from a tick on, the history of one alert, the configuration of a moment.
//!
//! Owns: a connection of its own. Refuses to know: the lock; anybody may read while somebody writes.
//!
//! Invariants
//! 1. Ticks come in order without a hole; what was durable when a chunk was read is in it, whole entries only.
//!
//! Called by: driver (recovery), replay, server (an alert's history), cli (doctor).

use super::{Configuration, ConfigurationFile, FORMAT, FileReference, JournalEntry, JournalError, Note, Told};
use crate::disk::database::{self, DatabaseError, InFile};
use crate::engine::{AlertChange, AlertId, HandlingChange, Tick, TickTime};
use rusqlite::{Connection, OptionalExtension, Params, Row};
use std::collections::VecDeque;
use std::path::{Path, PathBuf};

pub struct JournalReader {
    path: PathBuf,
    connection: Connection,
}

/// Entries in order, read batch by batch; see [`JournalReader::ticks_from`].
pub struct Ticks<'a> {
    reader: &'a JournalReader,
    next: u64,
    ready: VecDeque<JournalEntry>,
    failed: bool,
}

/// One step in the life of an alert.
#[derive(Clone, PartialEq, Debug)]
pub enum Change {
    Alert(Box<AlertChange>),
    Handling(HandlingChange),
}

impl JournalReader {
    /// Opens `folder/journal.sqlite`, whoever writes it.
    pub fn open(folder: &Path) -> Result<JournalReader, JournalError> {
        JournalReader::open_file(&folder.join("journal.sqlite"))
    }

    pub(super) fn open_file(path: &Path) -> Result<JournalReader, JournalError> {
        let connection = database::open_reader(path)?;
        let found: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).in_file(path, "read the format")?;
        if found > FORMAT {
            return Err(DatabaseError::Newer { path: path.to_owned(), found, known: FORMAT }.into());
        }
        Ok(JournalReader { path: path.to_owned(), connection })
    }

    /// The first and the last tick there are.
    pub fn bounds(&self) -> Result<Option<(u64, u64)>, JournalError> {
        let found: (Option<i64>, Option<i64>) = self
            .connection
            .query_row("SELECT (SELECT min(first) FROM ticks), (SELECT max(last) FROM ticks)", [], |row| Ok((row.get(0)?, row.get(1)?)))
            .in_file(&self.path, "read the first and last tick")?;
        Ok(found.0.zip(found.1).map(|(first, last)| (first as u64, last as u64)))
    }

    /// All entries from tick `from` on, in order, with their configurations.
    pub fn ticks_from(&self, from: u64) -> Ticks<'_> {
        Ticks { reader: self, next: from, ready: VecDeque::new(), failed: false }
    }

    /// What other programs are told after number `after`, in order, at most `limit`.
    pub fn told_after(&self, after: u64, limit: usize) -> Result<Vec<Told>, JournalError> {
        let sql = "SELECT number, tick, time, alert, version, sector, area, json FROM told WHERE number > ? ORDER BY number LIMIT ?";
        self.rows(sql, [after as i64, limit as i64], |row| {
            Ok(Told {
                number: row.get::<_, i64>(0)? as u64,
                tick: row.get::<_, i64>(1)? as u64,
                time: row.get(2)?,
                alert: row.get(3)?,
                version: row.get(4)?,
                sector: row.get(5)?,
                area: row.get(6)?,
                json: row.get(7)?,
            })
        })
    }

    /// What an alert went through, oldest first.
    pub fn history(&self, alert: AlertId) -> Result<Vec<Change>, JournalError> {
        let sql = "SELECT kind, json FROM changes WHERE alert = ? ORDER BY tick, place";
        let rows: Vec<(String, String)> = self.rows(sql, [alert.to_string()], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let change = |(kind, json): &(String, String)| match kind.as_str() {
            "handling" => self.parse(json).map(Change::Handling),
            _ => self.parse(json).map(|change| Change::Alert(Box::new(change))),
        };
        rows.iter().map(change).collect()
    }

    /// The alerts that changed, or that an act changed, in these ticks (both included), by id.
    pub fn alerts_changed(&self, from: u64, to: u64) -> Result<Vec<AlertId>, JournalError> {
        let sql = "SELECT DISTINCT alert FROM changes WHERE tick BETWEEN ? AND ? AND alert IS NOT NULL
            AND (kind = 'alert' OR json ->> 'refused' IS NULL) ORDER BY alert";
        let ids: Vec<String> = self.rows(sql, [from as i64, to as i64], |row| row.get(0))?;
        ids.into_iter().map(|id| AlertId::try_from(id).map_err(|reason| self.corrupt(reason))).collect()
    }

    /// All notes, oldest first, with their ticks.
    pub fn notes(&self) -> Result<Vec<(u64, Note)>, JournalError> {
        let sql = "SELECT tick, json FROM changes WHERE kind = 'note' ORDER BY tick, place";
        let rows: Vec<(i64, String)> = self.rows(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
        rows.iter().map(|(tick, json)| Ok((*tick as u64, self.parse(json)?))).collect()
    }

    /// Since which tick the configuration is in force that is so at `tick`.
    pub fn configured_since(&self, tick: u64) -> Result<Option<u64>, JournalError> {
        let since: Vec<Option<i64>> = self.rows("SELECT max(tick) FROM configurations WHERE tick <= ?", [tick as i64], |row| row.get(0))?;
        Ok(since.into_iter().flatten().next().map(|tick| tick as u64))
    }

    /// The configuration in force at `tick`, with the tick since which it is.
    pub fn configuration_at(&self, tick: u64) -> Result<Option<(u64, Configuration)>, JournalError> {
        let found: Option<(i64, String)> = self
            .connection
            .query_row("SELECT tick, json FROM configurations WHERE tick <= ? ORDER BY tick DESC LIMIT 1", [tick as i64], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .optional()
            .in_file(&self.path, "read the configuration")?;
        let Some((since, json)) = found else { return Ok(None) };
        let mut files = Vec::new();
        for FileReference { path, sha256 } in self.parse::<Vec<FileReference>>(&json)? {
            let (bytes, packed): (i64, Vec<u8>) = self
                .connection
                .query_row("SELECT bytes, zstd FROM contents WHERE hash = ?", [&sha256], |row| Ok((row.get(0)?, row.get(1)?)))
                .in_file(&self.path, "read a configuration file's content")?;
            let bytes = zstd::bulk::decompress(&packed, bytes as usize).in_file(&self.path, "unpack a configuration file")?;
            files.push(ConfigurationFile { path, bytes });
        }
        Ok(Some((since as u64, Configuration { files })))
    }

    /// The last tick whose time is at most `time`; `None`: all are later, or there is none.
    pub fn tick_at(&self, time: TickTime) -> Result<Option<u64>, JournalError> {
        let Some((first, last)) = self.bounds()? else { return Ok(None) };
        // the first batch that ends past `time` begins at `high`; all before `low` end at or before it
        let (mut low, mut high) = (first, last + 1);
        while low < high {
            let middle = low + (high - low) / 2;
            let sql = "SELECT first, last, time FROM ticks WHERE first <= ? ORDER BY first DESC LIMIT 1";
            let found: Vec<(i64, i64, TickTime)> = self.rows(sql, [middle as i64], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))?;
            let Some((first, last, at)) = found.first().copied() else { break };
            if at > time { high = first as u64 } else { low = last as u64 + 1 }
        }
        let mut tick = (low > first).then(|| low - 1);
        for entry in self.batch(low)?.into_iter().flatten().filter(|e| e.tick.number >= low && e.tick.time.0 <= time) {
            tick = Some(entry.tick.number);
        }
        Ok(tick)
    }

    /// One tick with what it caused.
    pub fn entry(&self, tick: u64) -> Result<Option<JournalEntry>, JournalError> {
        self.ticks_from(tick).next().transpose().map(|found| found.filter(|entry| entry.tick.number == tick))
    }

    /// Changes of alerts' conditions in ticks `[from, to]`, oldest first, `limit` at most.
    pub fn alert_changes(&self, from: u64, to: u64, limit: usize) -> Result<Vec<AlertChange>, JournalError> {
        let sql = "SELECT json FROM changes WHERE tick BETWEEN ? AND ? AND kind = 'alert' ORDER BY tick, place LIMIT ?";
        let to = i64::try_from(to).unwrap_or(i64::MAX);
        let rows: Vec<String> = self.rows(sql, (from as i64, to, limit as i64), |row| row.get(0))?;
        rows.iter().map(|json| self.parse(json)).collect()
    }

    /// Spans of tick time longer than `longer` in which no tick falls, in ticks `[from, to]`, oldest first, `limit` at most: nothing was
    /// read in them.
    pub fn silences(&self, from: u64, to: u64, longer: TickTime, limit: usize) -> Result<Vec<(TickTime, TickTime)>, JournalError> {
        // a batch is listed by the time of its last tick: where two lie far apart, the ticks between say more
        let sql = "SELECT first, before FROM
                (SELECT first, time, lag(time) OVER (ORDER BY first) AS before FROM ticks WHERE last >= ?1 AND first <= ?2)
            WHERE time - before > ?3 ORDER BY first";
        let to = i64::try_from(to).unwrap_or(i64::MAX);
        let apart: Vec<(i64, TickTime)> = self.rows(sql, (from as i64, to, longer), |row| Ok((row.get(0)?, row.get(1)?)))?;
        let mut silences = Vec::new();
        for (first, mut before) in apart {
            for entry in self.batch(first as u64)?.into_iter().flatten() {
                let time = entry.tick.time.0;
                if time - before > longer {
                    silences.push((before, time));
                }
                before = time;
            }
            if silences.len() >= limit {
                break;
            }
        }
        Ok(silences)
    }

    /// The batch that holds `tick`, or the next one after it.
    fn batch(&self, tick: u64) -> Result<Option<Vec<JournalEntry>>, JournalError> {
        let found: Option<(i64, i64, Vec<u8>)> = self
            .connection
            .prepare_cached("SELECT first, last, json_zstd FROM ticks WHERE last >= ?1 AND first >= coalesce((SELECT max(first) FROM ticks WHERE first <= ?1), 0) ORDER BY first LIMIT 1")
            .and_then(|mut query| query.query_row([tick as i64], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).optional())
            .in_file(&self.path, "read ticks")?;
        let Some((first, last, packed)) = found else { return Ok(None) };
        let json = zstd::stream::decode_all(packed.as_slice()).in_file(&self.path, "unpack ticks")?;
        let json = String::from_utf8(json).map_err(|_| self.corrupt(format!("ticks from {first} on are not UTF-8")))?;
        let ticks: Vec<Tick> = self.parse(&json)?;
        let mut entries: Vec<_> = ticks.into_iter().map(|tick| JournalEntry { tick, ..JournalEntry::default() }).collect();
        self.add_changes(first, last, &mut entries)?;
        Ok(Some(entries))
    }

    fn add_changes(&self, first: i64, last: i64, entries: &mut [JournalEntry]) -> Result<(), JournalError> {
        let sql = "SELECT tick, kind, json FROM changes WHERE tick BETWEEN ? AND ? ORDER BY tick, place";
        let rows: Vec<(i64, String, String)> = self.rows(sql, [first, last], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        for (tick, kind, json) in rows {
            let place = (tick - first) as usize;
            let entry = entries.get_mut(place).ok_or_else(|| self.corrupt(format!("a change of tick {tick} without its tick")))?;
            match kind.as_str() {
                "alert" => entry.alerts.push(self.parse(&json)?),
                "handling" => entry.handling.push(self.parse(&json)?),
                _ => entry.notes.push(self.parse(&json)?),
            }
        }
        let sql = "SELECT tick FROM configurations WHERE tick BETWEEN ? AND ?";
        let changed: Vec<i64> = self.rows(sql, [first, last], |row| row.get(0))?;
        for tick in changed {
            if let Some(entry) = entries.get_mut((tick - first) as usize) {
                entry.configuration = self.configuration_at(tick as u64)?.map(|(_, configuration)| configuration);
            }
        }
        Ok(())
    }

    fn rows<T>(&self, sql: &str, params: impl Params, map: impl FnMut(&Row<'_>) -> rusqlite::Result<T>) -> Result<Vec<T>, JournalError> {
        let read = || self.connection.prepare_cached(sql)?.query_map(params, map)?.collect::<rusqlite::Result<Vec<T>>>();
        Ok(read().in_file(&self.path, "read the journal")?)
    }

    fn parse<T: serde::de::DeserializeOwned>(&self, json: &str) -> Result<T, JournalError> {
        serde_json::from_str(json).map_err(|e| self.corrupt(format!("a record that cannot be read ({e})")))
    }

    fn corrupt(&self, reason: String) -> JournalError {
        DatabaseError::Corrupt { path: self.path.clone(), reason }.into()
    }
}

impl Iterator for Ticks<'_> {
    type Item = Result<JournalEntry, JournalError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ready.is_empty() && !self.failed {
            match self.reader.batch(self.next) {
                Ok(Some(entries)) => self.ready.extend(entries.into_iter().filter(|e| e.tick.number >= self.next)),
                Ok(None) => return None,
                Err(error) => {
                    self.failed = true;
                    return Some(Err(error));
                }
            }
        }
        let entry = self.ready.pop_front()?;
        self.next = entry.tick.number + 1;
        Some(Ok(entry))
    }
}
