//! How far each channel was told, on disk.
//!
//! Owns: `out.sqlite`: a number by channel. Refuses to know: channels, changes.
//!
//! Invariants
//! 1. A cursor is durable when `save` returns, and never goes back.
//! 2. It is a file of its own: what a channel notes never waits for the journal, nor the journal for it.
//!
//! Called by: notify.

use crate::disk::database::{self, DatabaseError, InFile};
use rusqlite::{Connection, OptionalExtension, params};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

const FORMAT: i64 = 1;
const SCHEMA: &str = "CREATE TABLE cursors(channel TEXT PRIMARY KEY, told INTEGER NOT NULL) WITHOUT ROWID";

pub struct Cursors {
    path: PathBuf,
    connection: Arc<Mutex<Connection>>,
}

impl Cursors {
    pub fn open(folder: &Path) -> Result<Cursors, DatabaseError> {
        std::fs::create_dir_all(folder).in_file(folder, "make the folder")?;
        let path = folder.join("out.sqlite");
        let connection = database::create(&path, FORMAT, SCHEMA)?;
        Ok(Cursors { path, connection: Arc::new(Mutex::new(connection)) })
    }

    /// `None`: it was never told anything.
    pub async fn load(&self, channel: &'static str) -> Result<Option<u64>, DatabaseError> {
        self.with("read a cursor", move |c| {
            let told: Option<i64> = c.query_row("SELECT told FROM cursors WHERE channel = ?", [channel], |row| row.get(0)).optional()?;
            Ok(told.map(|n| n as u64))
        })
        .await
    }

    pub async fn save(&self, channel: &'static str, told: u64) -> Result<(), DatabaseError> {
        self.with("note a cursor", move |c| {
            let sql = "INSERT INTO cursors VALUES (?1, ?2) ON CONFLICT(channel) DO UPDATE SET told = max(told, ?2)";
            c.prepare_cached(sql)?.execute(params![channel, told as i64]).map(|_| ())
        })
        .await
    }

    async fn with<T: Send + 'static>(
        &self,
        doing: &'static str,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, DatabaseError> {
        let connection = self.connection.clone();
        let done = tokio::task::spawn_blocking(move || work(&connection.lock().unwrap_or_else(PoisonError::into_inner))).await;
        done.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic())).in_file(&self.path, doing)
    }
}
