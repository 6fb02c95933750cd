//! What the stores of rejected and of late records share: headers as text, newer formats of their files.
//!
//! Owns: these two. Refuses to know: tables.
//!
//! Invariants
//! 1. `headers_of(headers_text(h))` is h.
//!
//! Called by: rejected, late.

use crate::disk::database::{DatabaseError, InFile};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rusqlite::Connection;
use std::path::Path;

/// JSON, values in base64; none for no headers.
pub(super) fn headers_text(headers: &[(String, Vec<u8>)]) -> Option<String> {
    let pairs: Vec<(&str, String)> = headers.iter().map(|(name, value)| (name.as_str(), STANDARD.encode(value))).collect();
    if pairs.is_empty() { None } else { serde_json::to_string(&pairs).ok() }
}

pub(super) fn headers_of(text: Option<String>) -> Vec<(String, Vec<u8>)> {
    let pairs: Vec<(String, String)> = text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
    pairs.into_iter().map(|(name, value)| (name, STANDARD.decode(value).unwrap_or_default())).collect()
}

/// Brings a file of the format before to `format`.
pub(super) fn migrate(path: &Path, connection: &Connection, format: i64, steps: &str) -> Result<(), DatabaseError> {
    let found: i64 = connection.query_row("PRAGMA user_version", [], |r| r.get(0)).in_file(path, "read the file's format")?;
    if found == format {
        return Ok(());
    }
    let sql = format!("BEGIN IMMEDIATE; {steps}; PRAGMA user_version = {format}; COMMIT;");
    connection.execute_batch(&sql).in_file(path, "bring the file to this program's format")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_come_back() {
        for headers in [vec![], vec![("ce_id".to_owned(), vec![0, 255]), ("x".to_owned(), vec![])]] {
            assert_eq!(headers_of(headers_text(&headers)), headers);
        }
        assert_eq!(headers_of(Some("nonsense".into())), []);
    }
}
