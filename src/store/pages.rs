//! Rows of one measurement, page by page.
//!
//! Owns: [`RowsQuery`], [`RowsPage`], [`Cursor`] and how a page is put together from slices of time. Refuses to know: who asks, formats.
//!
//! Invariants
//! 1. Rows come by (start, tags); a page goes on where the last one ended: nothing twice, nothing left out, as long as nothing is written.
//! 2. A page holds at most `limit` rows; what is read at once follows it, whatever the span: a slice that held much is followed by a
//!    shorter one.
//! 3. Both kinds of store answer alike (conformance.rs).
//!
//! Called by: store (as `Store::page`).

use super::line::{StoredRow, stored_tag};
use super::{Store, StoreError};
use crate::time::{Span, Timestamp};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::fmt;
use std::sync::Arc;

/// Whether a series is wanted, by its tags.
pub type Wanted = Arc<dyn Fn(&[(String, String)]) -> bool + Send + Sync>;

/// Rows with starts in `[from, to)`, after the cursor.
#[derive(Clone)]
pub struct RowsQuery {
    pub measurement: String,
    /// Tags that must be just so; an empty value means that the series has no such tag.
    pub tags: Vec<(String, String)>,
    /// Asked of each series that has these tags.
    pub wanted: Wanted,
    pub from: Timestamp,
    pub to: Timestamp,
    /// From one window to the next: what a slice begins with.
    pub every: Span,
    pub after: Option<Cursor>,
    pub limit: usize,
}

impl fmt::Debug for RowsQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?} [{}, {}) after {:?}, {}", self.measurement, self.tags, self.from, self.to, self.after, self.limit)
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct RowsPage {
    pub rows: Vec<StoredRow>,
    /// There may be more after this.
    pub next: Option<Cursor>,
}

/// The last row of a page.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    start: Timestamp,
    tags: Vec<(String, String)>,
}

impl Cursor {
    fn of(row: &StoredRow) -> Cursor {
        Cursor { start: row.start, tags: row.tags.clone() }
    }

    /// As text that a URL takes.
    pub fn encode(&self) -> String {
        let text = serde_json::json!([self.start.0, self.tags]).to_string();
        URL_SAFE_NO_PAD.encode(text)
    }

    /// `None`: no page ended so.
    pub fn decode(text: &str) -> Option<Cursor> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (start, tags) = serde_json::from_slice(&bytes).ok()?;
        Some(Cursor { start: Timestamp(start), tags })
    }
}

impl RowsQuery {
    /// Whether a series with these tags, in key order, is asked for.
    pub fn takes(&self, tags: &[(String, String)]) -> bool {
        let has = |name: &str, value: &str| match tags.iter().find(|(n, _)| n == name) {
            Some((_, held)) => *held == *stored_tag(value),
            None => value.is_empty(),
        };
        self.tags.iter().all(|(name, value)| has(name, value)) && (self.wanted)(tags)
    }
}

/// Windows of the first slice.
const FIRST: i64 = 16;
/// A slice becomes so many times longer or shorter.
const STEP: i64 = 4;

pub(super) async fn page(store: &Store, query: RowsQuery) -> Result<RowsPage, StoreError> {
    let query = Arc::new(query);
    let every = query.every.max(Span(1));
    let mut from = query.after.as_ref().map_or(query.from, |cursor| cursor.start.max(query.from));
    let mut slice = every.times(FIRST);
    let mut rows: Vec<StoredRow> = Vec::new();
    while from < query.to && rows.len() <= query.limit {
        let to = (from + slice).min(query.to);
        let mut part = match store {
            Store::Influx(influx) => influx.matching(&query, from, to).await?,
            Store::Embedded(embedded) => embedded.matching(query.clone(), from, to).await?,
        };
        slice = match part.len() {
            n if n > query.limit => Span(slice.0 / STEP).max(every),
            n if n < query.limit / 8 + 1 => slice.times(STEP).min(Span::days(3_650)),
            _ => slice,
        };
        if let Some(cursor) = &query.after {
            part.retain(|row| Cursor::of(row) > *cursor);
        }
        rows.extend(part);
        from = to;
    }
    let next = (rows.len() > query.limit).then(|| rows.get(query.limit.saturating_sub(1)).map(Cursor::of)).flatten();
    rows.truncate(query.limit);
    Ok(RowsPage { rows, next })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_goes_through_a_url() {
        let cursor = Cursor { start: Timestamp(-5), tags: vec![("area".into(), "Ngã tư, số=2\"".into())] };
        let text = cursor.encode();
        assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'), "{text}");
        assert_eq!(Cursor::decode(&text), Some(cursor));
        for wrong in ["", "x", "????", "W10", &URL_SAFE_NO_PAD.encode("[1]")] {
            assert_eq!(Cursor::decode(wrong), None, "{wrong}");
        }
    }
}
