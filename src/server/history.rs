//! Every alert there was, as it last stood, with its whole story: to be looked up and searched.
//!
//! Owns: `alerts.sqlite` (one row an alert: [`KeptAlerts`] writes, [`AlertRecords`] reads), what a question picks, texts without
//! diacritics. Refuses to know: how alerts move, ticks' contents, requests, who signs in.
//!
//! Invariants
//! 1. A row is the view as it was made under the definitions of the time: it can be read when its rule is long gone.
//! 2. Every change of an alert up to tick [`KeptAlerts::upto`] is in it: a row and that number are written together, after the journal's
//!    record of the tick is durable and before a checkpoint past it is (D2, D1). What lies between is caught up at the next start.
//! 3. Keeping the same again changes nothing. An alert that only ever was pending is gone when it ends.
//! 4. Nothing outside the asked scope is in an answer or counted in it.
//! 5. Pages are ordered by (newest `since`, id) and go on where the last one ended.
//!
//! Called by: driver (gate keeps, recovery catches up), api/history.rs (asks), app (opens).

use super::scope::Scope;
use super::wire::{AlertDetail, AlertView, AlertsPage, Condition, Severity, Verdict};
use crate::disk::database::{self, DatabaseError, InFile};
use crate::time::Timestamp;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params, params_from_iter};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Alerts of a page at most.
pub const MOST: usize = 500;
/// Words of a search at most; further ones are left out.
const MOST_WORDS: usize = 10;
/// Further matches are not counted: `total` is then not told.
const COUNTED: u64 = 10_000;
/// A file of an older format is made again from the journal.
const FORMAT: i64 = 2;
/// Stories lie apart: a search reads every row that it passes, and they are most of the bytes.
const SCHEMA: &str = "
    CREATE TABLE upto(one INTEGER PRIMARY KEY CHECK(one = 1), tick INTEGER NOT NULL);
    CREATE TABLE alerts(id TEXT PRIMARY KEY, since INTEGER NOT NULL, touched INTEGER NOT NULL, pipeline TEXT NOT NULL, rule TEXT NOT NULL,
        sector TEXT NOT NULL, area TEXT, severity TEXT NOT NULL, condition TEXT NOT NULL, handling TEXT NOT NULL, owner TEXT NOT NULL,
        verdict TEXT, words TEXT NOT NULL);
    CREATE TABLE stories(id TEXT PRIMARY KEY, json TEXT NOT NULL);
    CREATE INDEX alerts_by_since ON alerts(since DESC, id)";

/// What is asked; `None`: any.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HistoryQuery {
    /// Each word must occur, with or without diacritics, in title, area, owner, tags or notes.
    pub text: Option<String>,
    /// An area or group: what lies within.
    pub area: Option<String>,
    pub rule: Option<String>,
    pub sector: Option<String>,
    pub severity: Option<Severity>,
    /// `from` ≤ since < `to`, ms.
    pub from: Option<i64>,
    pub to: Option<i64>,
    /// Part of the name of whose it is: whom it is assigned to, else who acknowledged.
    pub owner: Option<String>,
    pub verdict: Option<Verdict>,
    pub condition: Option<Condition>,
    pub limit: usize,
    /// `AlertsPage::next` of the page before.
    pub after: Option<Place>,
}

/// Where an alert stands in the order of pages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    since: i64,
    id: String,
}

impl Place {
    /// "1795478400000.0123…": as [`AlertsPage::next`] has it.
    pub fn parse(text: &str) -> Option<Place> {
        let (since, id) = text.split_once('.')?;
        let hex = id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit());
        Some(Place { since: since.parse().ok()?, id: hex.then(|| id.to_owned())? })
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.since, self.id)
    }
}

fn path_in(folder: &Path) -> PathBuf {
    folder.join("alerts.sqlite")
}

/// The writing end. Blocking: it belongs to one thread.
pub struct KeptAlerts {
    path: PathBuf,
    connection: Connection,
    upto: Option<u64>,
}

impl KeptAlerts {
    pub fn open(folder: &Path) -> Result<KeptAlerts, DatabaseError> {
        let path = path_in(folder);
        if path.exists() && format_of(&path)? < FORMAT {
            database::remove(&path)?;
        }
        let connection = database::create(&path, FORMAT, SCHEMA)?;
        let upto: Option<i64> = connection
            .query_row("SELECT tick FROM upto", [], |row| row.get(0))
            .optional()
            .in_file(&path, "read up to which tick alerts are kept")?;
        Ok(KeptAlerts { path, connection, upto: upto.map(|tick| tick as u64) })
    }

    /// Every change up to this tick is kept; `None`: nothing yet.
    pub fn upto(&self) -> Option<u64> {
        self.upto
    }

    /// Alerts as they stand after tick `upto`, whatever ticks lie between; durable when it returns. `None`: others of that tick follow.
    pub fn keep(&mut self, upto: Option<u64>, alerts: &[AlertDetail]) -> Result<(), DatabaseError> {
        let transaction = self.connection.transaction().in_file(&self.path, "begin keeping alerts")?;
        let kept = || -> rusqlite::Result<()> {
            let mut delete = transaction.prepare_cached("DELETE FROM alerts WHERE id = ?")?;
            let mut delete_story = transaction.prepare_cached("DELETE FROM stories WHERE id = ?")?;
            let mut insert = transaction.prepare_cached("INSERT OR REPLACE INTO alerts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")?;
            let mut insert_story = transaction.prepare_cached("INSERT OR REPLACE INTO stories VALUES (?, ?)")?;
            for detail in alerts {
                let alert = &detail.alert;
                if alert.condition == Condition::Inactive {
                    delete.execute([&alert.id])?;
                    delete_story.execute([&alert.id])?;
                    continue;
                }
                let json = serde_json::to_string(detail).map_err(|e| rusqlite::Error::ToSqlConversionFailure(Box::new(e)))?;
                insert.execute(params![
                    alert.id,
                    alert.since,
                    alert.changed.max(alert.acted.unwrap_or(i64::MIN)),
                    alert.pipeline,
                    alert.rule,
                    alert.sector,
                    alert.area.as_ref().map(|area| &area.code),
                    alert.severity.name(),
                    alert.condition.name(),
                    alert.handling.name(),
                    fold(owner(alert)),
                    alert.closed.as_ref().map(|closed| closed.verdict.name()),
                    words(detail),
                ])?;
                insert_story.execute([&alert.id, &json])?;
            }
            if let Some(upto) = upto {
                transaction.execute("INSERT OR REPLACE INTO upto VALUES (1, ?)", [upto as i64])?;
            }
            Ok(())
        };
        kept().in_file(&self.path, "keep alerts")?;
        transaction.commit().in_file(&self.path, "keep alerts")?;
        self.upto = upto.or(self.upto);
        Ok(())
    }

    /// Forgets resolved alerts that nothing has happened to since.
    pub fn forget(&mut self, before: Timestamp) -> Result<(), DatabaseError> {
        let old = "touched < ? AND condition = 'resolved'";
        let forgotten = || -> rusqlite::Result<()> {
            let transaction = self.connection.unchecked_transaction()?;
            transaction.execute(&format!("DELETE FROM stories WHERE id IN (SELECT id FROM alerts WHERE {old})"), [before.millis()])?;
            transaction.execute(&format!("DELETE FROM alerts WHERE {old}"), [before.millis()])?;
            transaction.commit()
        };
        forgotten().in_file(&self.path, "forget old alerts")
    }
}

fn format_of(path: &Path) -> Result<i64, DatabaseError> {
    let connection = database::open_reader(path)?;
    connection.query_row("PRAGMA user_version", [], |row| row.get(0)).in_file(path, "read the format")
}

/// The reading end, for any thread. Blocking: each question opens the file for itself, and none waits for another.
#[derive(Clone, Debug)]
pub struct AlertRecords {
    path: PathBuf,
}

impl AlertRecords {
    pub fn new(folder: &Path) -> AlertRecords {
        AlertRecords { path: path_in(folder) }
    }

    /// `None`: nothing was ever kept.
    fn open(&self) -> Result<Option<Connection>, DatabaseError> {
        if self.path.exists() { database::open_reader(&self.path).map(Some) } else { Ok(None) }
    }

    pub fn detail(&self, id: &str) -> Result<Option<AlertDetail>, DatabaseError> {
        let Some(connection) = self.open()? else { return Ok(None) };
        self.detail_in(&connection, id)
    }

    fn detail_in(&self, connection: &Connection, id: &str) -> Result<Option<AlertDetail>, DatabaseError> {
        let json: Option<String> = connection
            .prepare_cached("SELECT json FROM stories WHERE id = ?")
            .and_then(|mut query| query.query_row([id], |row| row.get(0)).optional())
            .in_file(&self.path, "read an alert")?;
        let unreadable = |e| DatabaseError::Corrupt { path: self.path.clone(), reason: format!("alert {id} cannot be read ({e})") };
        json.map(|json| serde_json::from_str(&json).map_err(unreadable)).transpose()
    }

    /// `within`: whether an area lies within an area or group.
    pub fn page(&self, query: &HistoryQuery, scope: &Scope, within: &dyn Fn(&str, &str) -> bool) -> Result<AlertsPage, DatabaseError> {
        let Some(connection) = self.open()? else { return Ok(AlertsPage::default()) };
        let limit = query.limit.clamp(1, MOST);
        let (sql, values) = statement(query);
        let mut sees = Sees { query, scope, within, areas: BTreeMap::new() };
        let mut picked: Vec<Place> = Vec::new();
        let mut total = 0;
        let read = || -> rusqlite::Result<()> {
            let mut statement = connection.prepare(&sql)?;
            let mut rows = statement.query(params_from_iter(values))?;
            while let Some(row) = rows.next()? {
                if !sees.row(row.get_ref(2)?.as_str()?, row.get_ref(3)?.as_str_or_null()?) {
                    continue;
                }
                total += 1;
                if picked.len() <= limit {
                    picked.push(Place { since: row.get(0)?, id: row.get(1)? });
                }
                // only the first page is counted: the others come after it
                if total > COUNTED || (query.after.is_some() && picked.len() > limit) {
                    break;
                }
            }
            Ok(())
        };
        read().in_file(&self.path, "search alerts")?;
        let more = picked.len() > limit;
        picked.truncate(limit);
        let next = if more { picked.last().map(ToString::to_string) } else { None };
        let mut alerts = Vec::with_capacity(picked.len());
        for place in &picked {
            // it may have been replaced meanwhile, or be gone
            alerts.extend(self.detail_in(&connection, &place.id)?.map(|detail| Arc::new(detail.alert)));
        }
        Ok(AlertsPage { alerts, next, total: (query.after.is_none() && total <= COUNTED).then_some(total) })
    }
}

/// What a row must satisfy besides the statement: areas are the registry's to know.
struct Sees<'a> {
    query: &'a HistoryQuery,
    scope: &'a Scope,
    within: &'a dyn Fn(&str, &str) -> bool,
    areas: BTreeMap<Option<String>, bool>,
}

impl Sees<'_> {
    fn row(&mut self, sector: &str, area: Option<&str>) -> bool {
        if !self.scope.sees_sector(sector) {
            return false;
        }
        let key = area.map(str::to_owned);
        *self.areas.entry(key).or_insert_with(|| {
            let asked = self.query.area.as_ref().is_none_or(|asked| area.is_some_and(|area| (self.within)(area, asked)));
            asked && self.scope.sees_area(area)
        })
    }
}

fn statement(query: &HistoryQuery) -> (String, Vec<Value>) {
    let mut sql = String::from("SELECT since, id, sector, area FROM alerts WHERE 1");
    let mut values = Vec::new();
    let mut add = |clause: &str, value: Value| {
        sql.push_str(" AND ");
        sql.push_str(clause);
        values.push(value);
    };
    let texts = [
        ("rule = ?", query.rule.clone()),
        ("sector = ?", query.sector.clone()),
        ("severity = ?", query.severity.map(|s| s.name().to_owned())),
        ("condition = ?", query.condition.map(|c| c.name().to_owned())),
        ("verdict = ?", query.verdict.map(|v| v.name().to_owned())),
        ("instr(owner, ?) > 0", query.owner.as_deref().map(|name| fold(name.trim()))),
    ];
    for (clause, text) in texts {
        if let Some(text) = text {
            add(clause, Value::Text(text));
        }
    }
    for (clause, at) in [("since >= ?", query.from), ("since < ?", query.to)] {
        if let Some(at) = at {
            add(clause, Value::Integer(at));
        }
    }
    for word in query.text.as_deref().map(fold).unwrap_or_default().split_whitespace().take(MOST_WORDS) {
        add("instr(words, ?) > 0", Value::Text(word.to_owned()));
    }
    if let Some(Place { since, id }) = &query.after {
        add("since <= ?", Value::Integer(*since));
        add("(since < ?", Value::Integer(*since));
        sql.push_str(" OR id > ?)");
        values.push(Value::Text(id.clone()));
    }
    sql.push_str(" ORDER BY since DESC, id");
    (sql, values)
}

fn owner(alert: &AlertView) -> &str {
    let assigned = alert.assigned.as_ref().map(|a| a.to.as_str());
    assigned.or(alert.acknowledged.as_ref().map(|a| a.by.as_str())).unwrap_or_default()
}

/// What a search looks through, folded.
fn words(detail: &AlertDetail) -> String {
    let alert = &detail.alert;
    let mut parts = vec![alert.title.vi.as_str(), &alert.title.en, owner(alert)];
    parts.extend(alert.area.iter().flat_map(|area| [area.code.as_str(), &area.name]));
    parts.extend(alert.key.values().map(String::as_str));
    parts.extend(detail.history.iter().flat_map(|entry| [&entry.note, &entry.to]).flatten().map(String::as_str));
    fold(&parts.join("\n"))
}

/// Small letters without diacritics: "Đông Gia Nghĩa" → "dong gia nghia", however it was typed.
pub fn fold(text: &str) -> String {
    const BASES: [(char, &str); 7] = [
        ('a', "àáảãạăằắẳẵặâầấẩẫậ"),
        ('d', "đ"),
        ('e', "èéẻẽẹêềếểễệ"),
        ('i', "ìíỉĩị"),
        ('o', "òóỏõọôồốổỗộơờớởỡợ"),
        ('u', "ùúủũụưừứửữự"),
        ('y', "ỳýỷỹỵ"),
    ];
    let base = |c: char| BASES.iter().find(|(_, all)| all.contains(c)).map_or(c, |(base, _)| *base);
    let marks = '\u{300}'..='\u{36f}';
    text.chars().flat_map(char::to_lowercase).filter(|c| !marks.contains(c)).map(|c| if c.is_ascii() { c } else { base(c) }).collect()
}

#[cfg(test)]
#[path = "history_tests.rs"]
mod tests;
