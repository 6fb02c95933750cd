//! Rows as bytes: one hour of one series in a block.
//!
//! Owns: the encoding. Refuses to know: tables.
//!
//! Invariants
//! 1. `decode(encode(rows)) == rows`; rows in order of start.
//!
//! A row: start (i64), tick (u64), revision (u32), layout (u32), state (u8), number of values (u8), values (8 bytes each), little endian; a
//! block is the rows one after another, compressed with zstd. A layout names the fields and their types, once per day.
//!
//! Called by: day.rs.

use crate::engine::RowState;
use std::io;

/// A row of a known series.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct PackedRow {
    /// Nanoseconds.
    pub start: i64,
    pub tick: u64,
    pub revision: u32,
    pub state: RowState,
    pub layout: i64,
    /// 8 bytes each, in the layout's order.
    pub values: Vec<u8>,
}

const STATES: [RowState; 4] = [RowState::Provisional, RowState::Final, RowState::Incomplete, RowState::Withdrawn];

pub(super) fn state_number(state: RowState) -> u8 {
    STATES.iter().position(|s| *s == state).unwrap_or(1) as u8
}

pub(super) fn state_of_number(number: u8) -> RowState {
    STATES.get(usize::from(number)).copied().unwrap_or(RowState::Final)
}

pub(super) fn encode(rows: &[PackedRow]) -> io::Result<Vec<u8>> {
    let mut plain = Vec::with_capacity(rows.len() * 80);
    for row in rows {
        plain.extend_from_slice(&row.start.to_le_bytes());
        plain.extend_from_slice(&row.tick.to_le_bytes());
        plain.extend_from_slice(&row.revision.to_le_bytes());
        plain.extend_from_slice(&(row.layout as u32).to_le_bytes());
        plain.push(state_number(row.state));
        plain.push((row.values.len() / 8) as u8);
        plain.extend_from_slice(&row.values);
    }
    zstd::bulk::compress(&plain, 1)
}

/// `None` where the bytes are no block.
pub(super) fn decode(block: &[u8]) -> Option<Vec<PackedRow>> {
    let plain = zstd::stream::decode_all(block).ok()?;
    let mut rest = plain.as_slice();
    let mut rows = Vec::new();
    while !rest.is_empty() {
        let (start, r) = rest.split_first_chunk::<8>()?;
        let (tick, r) = r.split_first_chunk::<8>()?;
        let (revision, r) = r.split_first_chunk::<4>()?;
        let (layout, r) = r.split_first_chunk::<4>()?;
        let ([state, count], r) = r.split_first_chunk::<2>()?;
        let values = r.get(..usize::from(*count) * 8)?;
        rest = &r[values.len()..];
        rows.push(PackedRow {
            start: i64::from_le_bytes(*start),
            tick: u64::from_le_bytes(*tick),
            revision: u32::from_le_bytes(*revision),
            state: state_of_number(*state),
            layout: i64::from(u32::from_le_bytes(*layout)),
            values: values.to_vec(),
        });
    }
    Some(rows)
}
