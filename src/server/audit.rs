//! Who saw and did what: sign-ins, acts, exports, replays, refused attempts.
//!
//! Owns: `audit.sqlite`, the thread that writes it ([`Audit`]), reading it ([`AuditBook`]). Refuses to know: what is worth an entry
//! (handlers say so), who may do what.
//!
//! Invariants
//! 1. Noting never waits for a disk: entries queue up to [`QUEUE`], further ones are counted, and said once they can be (D6).
//! 2. What was noted before [`Audit::settle`], or before the last handle went, is durable after it.
//! 3. Entries are only ever added; they go two years after they were made.
//! 4. The same refusal of the same address is noted once a minute.
//!
//! Called by: api and ws (note), app (opens), cli (`ioc audit`).

use crate::disk::database::{self, DatabaseError, InFile};
use crate::time::{Span, Timestamp};
use rusqlite::{Connection, params};
use serde::Serialize;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

/// Entries that may wait for the disk.
const QUEUE: usize = 4_096;
/// Entries that share a transaction.
const TOGETHER: usize = 256;
const KEPT: Span = Span::days(730);
/// Old entries are looked for after so many new ones.
const FORGET_EVERY: i64 = 4_096;
const AGAIN_AFTER_MS: i64 = 60_000;
/// Refusals remembered at most, so as not to note them again.
const MOST_REFUSALS: usize = 1_000;
const OBJECT_CHARS: usize = 500;
const FORMAT: i64 = 1;
const SCHEMA: &str = "CREATE TABLE audit(number INTEGER PRIMARY KEY, time INTEGER NOT NULL, name TEXT NOT NULL, role TEXT NOT NULL,
    address TEXT NOT NULL, what TEXT NOT NULL, object TEXT NOT NULL);
    CREATE INDEX audit_by_time ON audit(time)";

/// One entry; `number` counts from 1 as kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    pub number: i64,
    pub time: Timestamp,
    /// The token's name; with open access what the person calls themselves; empty where nobody was let in.
    pub name: String,
    /// "operator", …; "open" with open access; empty where nobody was let in.
    pub role: String,
    pub address: String,
    /// "sign_in", "sign_out", "acknowledge", "assign", …, "export", "replay", "redrive", "refused".
    pub what: String,
    /// What it was done to: "alert 0123…", the path that was refused.
    pub object: String,
}

/// Who did it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Who {
    pub name: String,
    pub role: String,
    pub address: Option<IpAddr>,
}

enum Message {
    Entry(Entry),
    Settle(SyncSender<()>),
}

/// The writing end, for any task.
#[derive(Clone)]
pub struct Audit(Arc<Inner>);

struct Inner {
    /// `None` once the last handle goes.
    queue: Option<SyncSender<Message>>,
    thread: Option<JoinHandle<()>>,
    dropped: AtomicU64,
    /// When each refusal was noted last.
    refused: Mutex<BTreeMap<(String, String), i64>>,
}

impl Audit {
    pub fn open(folder: &Path) -> Result<Audit, DatabaseError> {
        let path = path_in(folder);
        let connection = database::create(&path, FORMAT, SCHEMA)?;
        let (queue, messages) = sync_channel(QUEUE);
        let of_thread = path.clone();
        let thread = std::thread::Builder::new().name("audit".into()).spawn(move || write(&of_thread, &connection, &messages));
        let thread = Some(thread.in_file(&path, "start the thread that writes it")?);
        Ok(Audit(Arc::new(Inner { queue: Some(queue), thread, dropped: AtomicU64::new(0), refused: Mutex::default() })))
    }

    pub fn note(&self, time: Timestamp, who: Who, what: &str, object: impl Into<String>) {
        let object: String = object.into();
        let entry = Entry {
            number: 0,
            time,
            name: who.name,
            role: who.role,
            address: who.address.map(|a| a.to_string()).unwrap_or_default(),
            what: what.to_owned(),
            object: object.chars().take(OBJECT_CHARS).collect(),
        };
        // the queue is full, or its thread has ended
        let sent = self.0.queue.as_ref().is_some_and(|queue| queue.try_send(Message::Entry(entry)).is_ok());
        if !sent {
            self.0.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let dropped = self.0.dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            tracing::error!(dropped, "audit entries were lost: the disk of the data folder does not keep up");
        }
    }

    /// An attempt that was turned away.
    pub fn note_refused(&self, time: Timestamp, who: Who, object: String) {
        let now = time.millis();
        let mut refused = self.0.refused.lock().unwrap_or_else(PoisonError::into_inner);
        if refused.len() >= MOST_REFUSALS {
            refused.retain(|_, at| now < *at + AGAIN_AFTER_MS);
        }
        let place = (who.address.map(|a| a.to_string()).unwrap_or_default(), object.clone());
        let known = refused.get(&place).is_some_and(|at| now < *at + AGAIN_AFTER_MS);
        if known {
            return;
        }
        if refused.len() < MOST_REFUSALS {
            refused.insert(place, now);
        }
        drop(refused);
        self.note(time, who, "refused", object);
    }

    /// Waits until everything noted before is durable.
    pub fn settle(&self) {
        let (done, settled) = sync_channel(1);
        if let Some(queue) = &self.0.queue
            && queue.send(Message::Settle(done)).is_ok()
        {
            // an error: the thread is gone, and with it whatever could be waited for
            let _ = settled.recv();
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            // its panic was told where it happened
            let _ = thread.join();
        }
    }
}

fn write(path: &Path, connection: &Connection, messages: &Receiver<Message>) {
    let mut since = FORGET_EVERY;
    while let Ok(first) = messages.recv() {
        let (mut entries, mut settled) = (Vec::new(), Vec::new());
        let more = std::iter::from_fn(|| messages.try_recv().ok()).take(TOGETHER - 1);
        for message in std::iter::once(first).chain(more) {
            match message {
                Message::Entry(entry) => entries.push(entry),
                Message::Settle(done) => settled.push(done),
            }
        }
        since += entries.len() as i64;
        let forget = entries.last().map(|last| last.time - KEPT).filter(|_| since >= FORGET_EVERY);
        if forget.is_some() {
            since = 0;
        }
        if let Err(error) = insert(connection, &entries, forget).in_file(path, "write the audit") {
            tracing::error!(%error, lost = entries.len(), "audit entries were lost");
        }
        for done in settled {
            // who asked may have gone
            let _ = done.send(());
        }
    }
}

fn insert(connection: &Connection, entries: &[Entry], forget: Option<Timestamp>) -> rusqlite::Result<()> {
    if entries.is_empty() {
        return Ok(());
    }
    let transaction = connection.unchecked_transaction()?;
    {
        let mut insert =
            transaction.prepare_cached("INSERT INTO audit(time, name, role, address, what, object) VALUES (?, ?, ?, ?, ?, ?)")?;
        for e in entries {
            insert.execute(params![e.time.millis(), e.name, e.role, e.address, e.what, e.object])?;
        }
    }
    if let Some(before) = forget {
        transaction.execute("DELETE FROM audit WHERE time < ?", [before.millis()])?;
    }
    transaction.commit()
}

fn path_in(folder: &Path) -> PathBuf {
    folder.join("audit.sqlite")
}

/// Which entries; `None`: any.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    pub since: Option<Timestamp>,
    pub name: Option<String>,
    /// The newest so many.
    pub limit: usize,
}

/// The reading end, whoever writes.
pub struct AuditBook {
    path: PathBuf,
    connection: Connection,
}

impl AuditBook {
    /// `None`: nothing was ever noted in this folder.
    pub fn open(folder: &Path) -> Result<Option<AuditBook>, DatabaseError> {
        let path = path_in(folder);
        if !path.exists() {
            return Ok(None);
        }
        let connection = database::open_reader(&path)?;
        Ok(Some(AuditBook { path, connection }))
    }

    /// Oldest first.
    pub fn list(&self, wanted: &Wanted) -> Result<Vec<Entry>, DatabaseError> {
        let rows = || -> rusqlite::Result<Vec<Entry>> {
            let mut statement = self.connection.prepare(
                "SELECT number, time, name, role, address, what, object FROM audit
                 WHERE (?1 IS NULL OR time >= ?1) AND (?2 IS NULL OR name = ?2) ORDER BY number DESC LIMIT ?3",
            )?;
            let since = wanted.since.map(Timestamp::millis);
            let rows = statement.query_map(params![since, wanted.name, wanted.limit as i64], |r| {
                Ok(Entry {
                    number: r.get(0)?,
                    time: Timestamp::from_millis(r.get(1)?),
                    name: r.get(2)?,
                    role: r.get(3)?,
                    address: r.get(4)?,
                    what: r.get(5)?,
                    object: r.get(6)?,
                })
            })?;
            let mut entries: Vec<Entry> = rows.collect::<rusqlite::Result<_>>()?;
            entries.reverse();
            Ok(entries)
        };
        rows().in_file(&self.path, "read the audit")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn who(name: &str) -> Who {
        Who { name: name.into(), role: "operator".into(), address: Some([10, 0, 0, 7].into()) }
    }

    fn listed(folder: &Path, wanted: Wanted) -> Vec<(String, String, String)> {
        let entries = AuditBook::open(folder).unwrap().unwrap().list(&Wanted { limit: 100, ..wanted }).unwrap();
        entries.into_iter().map(|e| (e.name, e.what, e.object)).collect()
    }

    fn entry(name: &str, what: &str, object: &str) -> (String, String, String) {
        (name.into(), what.into(), object.into())
    }

    #[test]
    fn what_was_noted_is_kept_in_order_and_found_by_name_and_time() {
        let folder = tempfile::tempdir().unwrap();
        assert!(AuditBook::open(folder.path()).unwrap().is_none());
        let audit = Audit::open(folder.path()).unwrap();
        let at = Timestamp::from_seconds;
        audit.note(at(10), who("Lan"), "sign_in", "");
        audit.note(at(20), who("Đức"), "acknowledge", "alert 1");
        audit.settle();
        let (lan, duc) = (entry("Lan", "sign_in", ""), entry("Đức", "acknowledge", "alert 1"));
        assert_eq!(listed(folder.path(), Wanted::default()), [lan.clone(), duc.clone()]);
        assert_eq!(listed(folder.path(), Wanted { since: Some(at(11)), ..Wanted::default() }), std::slice::from_ref(&duc));
        assert_eq!(listed(folder.path(), Wanted { name: Some("Lan".into()), ..Wanted::default() }), std::slice::from_ref(&lan));
        let newest = AuditBook::open(folder.path()).unwrap().unwrap().list(&Wanted { limit: 1, ..Wanted::default() }).unwrap();
        assert_eq!((newest.len(), newest[0].number, newest[0].address.as_str()), (1, 2, "10.0.0.7"));
        audit.note(at(30), who("Lan"), "close", "x".repeat(600));
        // the last handle goes: what waits is written first
        drop(audit);
        assert_eq!(listed(folder.path(), Wanted::default())[2], entry("Lan", "close", &"x".repeat(500)));
        let audit = Audit::open(folder.path()).unwrap();
        audit.note(at(40) + KEPT, who("Lan"), "sign_in", "");
        drop(audit);
        assert_eq!(listed(folder.path(), Wanted::default()), [entry("Lan", "sign_in", "")], "two years later");
    }

    #[test]
    fn the_same_refusal_is_noted_once_a_minute() {
        let folder = tempfile::tempdir().unwrap();
        let audit = Audit::open(folder.path()).unwrap();
        for second in [0, 1, 59, 60, 61] {
            audit.note_refused(Timestamp::from_seconds(second), who(""), "401 GET /api/v1/me".into());
        }
        audit.note_refused(Timestamp::from_seconds(2), who(""), "403 GET /metrics".into());
        audit.settle();
        assert_eq!(listed(folder.path(), Wanted::default()).len(), 3);
    }

    #[test]
    fn d6_refusals_are_remembered_up_to_a_bound() {
        let folder = tempfile::tempdir().unwrap();
        let audit = Audit::open(folder.path()).unwrap();
        for n in 0..MOST_REFUSALS + 50 {
            audit.note_refused(Timestamp::from_seconds(1), who(""), format!("403 GET /{n}"));
        }
        assert_eq!(audit.0.refused.lock().unwrap().len(), MOST_REFUSALS);
    }
}
