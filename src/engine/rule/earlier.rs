//! Rows of windows that are over, kept for `previous(field, span)`.
//!
//! Owns: [`Earlier`]: of one window, the last row of each key and start as far back as a rule looks. Refuses to know: rules' verdicts.
//!
//! Invariants
//! 1. Final and incomplete rows are kept, as they were published last; a provisional one is not.
//! 2. What no window that can still change would ask for is let go: a key's windows older than the span before what is settled, and keys
//!    without a row for that long (D6). At most [`MAX_VALUES`] values of one measurement: keys beyond it are not kept and counted.
//! 3. A value that is not kept is unknown.
//!
//! Called by: rule/mod.rs, rule/verdict.rs.

use super::KeyTags;
use crate::engine::{FieldValue, Key, Row, RowState};
use crate::pipeline::expr::Value;
use crate::pipeline::{Pipeline, RuleVar};
use crate::time::{Alignment, Every, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// Values of one measurement: about 100 MB at most.
const MAX_VALUES: usize = 4_000_000;

/// Of one window of a pipeline.
#[derive(Debug)]
pub(super) struct Earlier {
    /// The window's version: what is kept of another is not read.
    version: String,
    alignment: Alignment,
    /// The longest span that a rule looks back.
    span: Every,
    /// Indexes in the window's fields.
    fields: Vec<usize>,
    rows: HashMap<KeyTags, BTreeMap<Timestamp, Box<[FieldValue]>>, foldhash::fast::FixedState>,
    /// By start of a key's newest row.
    newest: BTreeSet<(Timestamp, KeyTags)>,
    values: usize,
    /// Rows that were not kept for want of room.
    pub refused: u64,
}

/// What a row's rules may ask.
#[derive(Clone, Copy)]
pub struct Past<'a>(&'a Earlier);

impl<'a> Past<'a> {
    /// A field of the window a span before the one that begins at `start`.
    pub fn value(&self, key: &Key, start: Timestamp, field: usize, span: Every) -> Value<'a> {
        let at = self.0.alignment.moved(start, span, -1);
        let place = self.0.fields.iter().position(|f| *f == field);
        let row = self.0.rows.get(&key.tags[..]).and_then(|rows| rows.get(&at));
        let number = place.zip(row).and_then(|(place, row)| row.get(place)?.number());
        number.map_or(Value::Unknown, Value::Num)
    }
}

impl Earlier {
    /// `None` where no rule on the window looks back.
    pub fn of(pipeline: &Pipeline, window: usize) -> Option<Earlier> {
        let vars = pipeline.rules.iter().filter(|r| r.window() == Some(window)).flat_map(|r| &r.vars);
        let looks = vars.filter_map(|v| match v {
            RuleVar::Previous { field, span } => Some((*field, *span)),
            _ => None,
        });
        let looks: Vec<(usize, Every)> = looks.collect();
        let span = looks.iter().map(|l| l.1).max_by_key(|span| span.nominal())?;
        let fields: BTreeSet<usize> = looks.iter().map(|l| l.0).collect();
        let spec = &pipeline.windows[window];
        Some(Earlier {
            version: spec.version.clone(),
            alignment: spec.alignment.clone(),
            span,
            fields: fields.into_iter().collect(),
            rows: HashMap::default(),
            newest: BTreeSet::new(),
            values: 0,
            refused: 0,
        })
    }

    pub fn past(&self) -> Past<'_> {
        Past(self)
    }

    /// The start of the window that looks back on this one by `span`.
    pub fn later(&self, start: Timestamp, span: Every) -> Timestamp {
        self.alignment.moved(start, span, 1)
    }

    /// Keeps a row; true if it is another than was kept before.
    pub fn keep(&mut self, row: &Row, settled: Timestamp) -> bool {
        if row.state == RowState::Provisional {
            return false;
        }
        let values: Box<[FieldValue]> = match row.state {
            RowState::Withdrawn => self.fields.iter().map(|_| FieldValue::Absent).collect(),
            _ => self.fields.iter().map(|f| row.values.get(*f).copied().unwrap_or(FieldValue::Absent)).collect(),
        };
        let known = self.rows.get(&row.key.tags[..]).and_then(|rows| rows.get(&row.start));
        if known.is_some_and(|known| *known == values) {
            return false;
        }
        if known.is_none() && self.values + values.len() > MAX_VALUES {
            self.refused += 1;
            return false;
        }
        self.put(&row.key, row.start, values);
        // what a window that can still change may look back on
        let oldest = self.alignment.moved(self.alignment.first_start_of(settled.min(row.start)), self.span, -1);
        self.forget(&row.key, oldest);
        true
    }

    fn put(&mut self, key: &Arc<Key>, start: Timestamp, values: Box<[FieldValue]>) {
        let tags = KeyTags(key.clone());
        let rows = self.rows.entry(tags.clone()).or_default();
        let before = rows.last_key_value().map(|(start, _)| *start);
        self.values += values.len();
        self.values -= rows.insert(start, values).map_or(0, |old| old.len());
        let newest = rows.last_key_value().map(|(start, _)| *start);
        if newest != before {
            if let Some(at) = before {
                self.newest.remove(&(at, tags.clone()));
            }
            self.newest.extend(newest.map(|at| (at, tags)));
        }
    }

    fn forget(&mut self, key: &Key, oldest: Timestamp) {
        if let Some(rows) = self.rows.get_mut(&key.tags[..]) {
            while rows.first_key_value().is_some_and(|(start, _)| *start < oldest) {
                self.values -= rows.pop_first().map_or(0, |(_, values)| values.len());
            }
        }
        while self.newest.first().is_some_and(|(start, _)| *start < oldest) {
            if let Some((_, tags)) = self.newest.pop_first() {
                let rows = self.rows.remove(&tags);
                self.values -= rows.map_or(0, |rows| rows.values().map(|values| values.len()).sum());
            }
        }
    }
}

/// By start.
type KeptRows = Vec<(Timestamp, Vec<FieldValue>)>;

/// Plain data of what is kept.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct EarlierState {
    /// The window's version.
    window: String,
    fields: Vec<usize>,
    refused: u64,
    /// By key tags.
    rows: Vec<(Vec<Box<str>>, KeptRows)>,
}

impl Earlier {
    pub fn save(&self) -> EarlierState {
        let plain = |rows: &BTreeMap<Timestamp, Box<[FieldValue]>>| rows.iter().map(|(start, values)| (*start, values.to_vec())).collect();
        let mut rows: Vec<_> = self.rows.iter().map(|(tags, rows)| (tags.0.tags.clone(), plain(rows))).collect();
        rows.sort_by(|a: &(Vec<Box<str>>, Vec<_>), b| a.0.cmp(&b.0));
        EarlierState { window: self.version.clone(), fields: self.fields.clone(), refused: self.refused, rows }
    }

    /// Takes over what is of the same window and holds the fields asked for now.
    pub fn take_over(&mut self, state: &EarlierState) {
        let places: Option<Vec<usize>> = self.fields.iter().map(|f| state.fields.iter().position(|g| f == g)).collect();
        let Some(places) = places.filter(|_| state.window == self.version) else { return };
        self.refused = state.refused;
        for (tags, rows) in &state.rows {
            let key = Arc::new(Key { tags: tags.clone(), area: None });
            for (start, values) in rows {
                let kept = places.iter().map(|place| values.get(*place).copied().unwrap_or(FieldValue::Absent));
                self.put(&key, *start, kept.collect());
            }
        }
    }
}
