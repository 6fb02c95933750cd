//! Opening SQLite databases the one way this project does.
//!
//! Owns: the pragmas that durability rests on, the lock that keeps a second process out, errors that name the file and the next step.
//! Refuses to know: any table.
//!
//! Invariants
//! 1. A writer has WAL and `synchronous=FULL`: what a transaction wrote is durable when its commit returns. The name of a new file is
//!    durable once [`create`] returned.
//! 2. A reader never writes and never waits for a writer.
//! 3. A folder locked by [`lock`] is locked until the returned file is dropped or the process dies, however it dies.
//!
//! Called by: ingest::log, journal, store::embedded.

use rusqlite::{Connection, OpenFlags};
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

/// Pages of 8 KiB hold some thirty records or a hundred rows; measured faster than 4 KiB for both.
const PAGE_BYTES: i64 = 8192;

#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    #[error("{}: cannot {doing}: {source}. Check that the disk has room and that this user may write there", path.display())]
    Sql { path: PathBuf, doing: &'static str, source: rusqlite::Error },
    #[error("{}: cannot {doing}: {source}. Check that the folder exists and that this user may write there", path.display())]
    Io { path: PathBuf, doing: &'static str, source: std::io::Error },
    #[error("{}: written in format {found}, this program knows up to {known}. Start the newer ioc again, or give another data folder", path.display())]
    Newer { path: PathBuf, found: i64, known: i64 },
    #[error("{}: {reason}. Restore this file from a backup, or move it away to go on without it", path.display())]
    Corrupt { path: PathBuf, reason: String },
}

/// Turns a rusqlite error into one that names the file.
pub trait InFile<T> {
    fn in_file(self, path: &Path, doing: &'static str) -> Result<T, DatabaseError>;
}

impl<T> InFile<T> for Result<T, rusqlite::Error> {
    fn in_file(self, path: &Path, doing: &'static str) -> Result<T, DatabaseError> {
        self.map_err(|source| DatabaseError::Sql { path: path.to_owned(), doing, source })
    }
}

impl<T> InFile<T> for std::io::Result<T> {
    fn in_file(self, path: &Path, doing: &'static str) -> Result<T, DatabaseError> {
        self.map_err(|source| DatabaseError::Io { path: path.to_owned(), doing, source })
    }
}

/// Opens or makes a database for writing. `schema` runs on a new one only; `format` is kept in `PRAGMA user_version`, and a file with a
/// greater one is refused.
pub fn create(path: &Path, format: i64, schema: &str) -> Result<Connection, DatabaseError> {
    let connection = Connection::open(path).in_file(path, "open the database")?;
    let found = (|| {
        connection.busy_timeout(std::time::Duration::from_secs(10))?;
        connection.pragma_update(None, "page_size", PAGE_BYTES)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.set_prepared_statement_cache_capacity(64);
        connection.query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0))
    })()
    .in_file(path, "open the database")?;
    if found > format {
        return Err(DatabaseError::Newer { path: path.to_owned(), found, known: format });
    }
    if found == 0 {
        connection.execute_batch(&format!("BEGIN; {schema}; PRAGMA user_version = {format}; COMMIT;")).in_file(path, "make the tables")?;
        let dir = path.parent().unwrap_or(Path::new("."));
        File::open(dir).and_then(|dir| dir.sync_all()).in_file(dir, "make the new file's name durable")?;
    }
    Ok(connection)
}

/// Opens an existing database for reading.
pub fn open_reader(path: &Path) -> Result<Connection, DatabaseError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).in_file(path, "open the database")?;
    connection
        .busy_timeout(std::time::Duration::from_secs(10))
        .and_then(|()| connection.pragma_update(None, "query_only", true))
        .in_file(path, "open the database for reading")?;
    Ok(connection)
}

/// 2 means FULL. For tests that guard invariant 1.
pub fn synchronous(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA synchronous", [], |row| row.get(0))
}

/// Takes the lock file `path`; `None` where another process, or another owner in this one, has it.
pub fn lock(path: &Path) -> Result<Option<File>, DatabaseError> {
    let file = std::fs::OpenOptions::new().create(true).append(true).open(path).in_file(path, "open the lock file")?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error).in_file(path, "lock"),
    }
}

/// Bytes of a database on disk, its write-ahead log included.
pub fn size(path: &Path) -> u64 {
    ["", "-wal"].iter().filter_map(|tail| std::fs::metadata(beside(path, tail)).ok()).map(|m| m.len()).sum()
}

/// Unlinks a database that nobody has open for writing any more.
pub fn remove(path: &Path) -> Result<(), DatabaseError> {
    std::fs::remove_file(path).in_file(path, "unlink")?;
    for tail in ["-wal", "-shm"] {
        match std::fs::remove_file(beside(path, tail)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error).in_file(path, "unlink the write-ahead log of"),
            _ => {}
        }
    }
    Ok(())
}

fn beside(path: &Path, tail: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(tail);
    PathBuf::from(name)
}

/// Days since 1970-01-01 of a file named `YYYY-MM-DD.sqlite`, or `None`.
pub fn day_of_name(name: &str) -> Option<i64> {
    let date = name.strip_suffix(".sqlite")?;
    let parsed = crate::time::Timestamp::parse_rfc3339(format!("{date}T00:00:00Z").as_bytes())?;
    (date.len() == 10).then(|| parsed.0.div_euclid(NANOS_PER_DAY))
}

/// `YYYY-MM-DD.sqlite` of a day.
pub fn name_of_day(day: i64) -> String {
    format!("{}.sqlite", &crate::time::Timestamp(day * NANOS_PER_DAY).to_string()[..10])
}

pub const NANOS_PER_DAY: i64 = 86_400 * crate::time::NANOS_PER_SECOND;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_writer_asks_for_full_durability_d2() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.sqlite");
        let writer = create(&path, 3, "CREATE TABLE t(x)").unwrap();
        assert_eq!(synchronous(&writer).unwrap(), 2);
        let mode: String = writer.query_row("PRAGMA journal_mode", [], |r| r.get(0)).unwrap();
        assert_eq!(mode, "wal");
        let reader = open_reader(&path).unwrap();
        assert!(reader.execute("INSERT INTO t VALUES (1)", []).is_err());
        drop(writer);
        let error = create(&path, 2, "").unwrap_err().to_string();
        assert!(error.contains("format 3") && error.contains("a.sqlite"), "{error}");
    }

    #[test]
    fn a_lock_is_had_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let first = lock(&path).unwrap();
        assert!(first.is_some() && lock(&path).unwrap().is_none());
        drop(first);
        assert!(lock(&path).unwrap().is_some());
    }

    #[test]
    fn days_and_names() {
        assert_eq!(name_of_day(0), "1970-01-01.sqlite");
        assert_eq!(day_of_name("2026-11-24.sqlite").map(name_of_day).as_deref(), Some("2026-11-24.sqlite"));
        for bad in ["2026-11-24.sqlite-wal", "2026-02-30.sqlite", "lock", "x2026-11-24.sqlite"] {
            assert_eq!(day_of_name(bad), None, "{bad}");
        }
    }
}
