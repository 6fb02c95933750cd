//! Rows as InfluxDB line protocol, and back.
//!
//! Owns: [`LineFormat`] (how rows of one window are written, prepared once), [`StoredRow`] (a row as a store knows it), the canonical form
//! in which rows are compared. Refuses to know: files, servers, batches.
//!
//! Invariants
//! 1. Tags in key order, as they are named in `by`; an empty tag is left out. Fields in the window's order, then `heard`, `expected` where
//!    known, `approx=true` where a sketch stands behind a field (read back as 1), then `revision` and `state`. The timestamp is the window's start in nanoseconds.
//! 2. Integers with `i`; floats in the shortest form that reads back to the same bits: `41`, `0.1`, `1e21` (ryu's, without its `.0`).
//!    A value that is not finite is left out and counted, never written.
//! 3. What is written is one line whatever the tags hold; `parse_line` reads it back. Two things have no line-protocol form and are changed:
//!    a line break becomes `\n` (two characters, as the vendor's clients do), a backslash at the end of a tag gets a space after it.
//!    [`stored_tag`] says what a tag became.
//! 4. `canonical` is the same for two rows that differ in revision and state only.
//!
//! Source: docs.influxdata.com/influxdb/v2/reference/syntax/line-protocol.
//!
//! Called by: driver (`rows.lp`, spool), store (reading back), tests.

use crate::engine::{FieldValue, Row, RowState};
use crate::pipeline::{Pipeline, WindowSpec};
use crate::time::Timestamp;
use std::borrow::Cow;

/// How rows of one window become lines.
#[derive(Clone, Debug)]
pub struct LineFormat {
    /// Escaped.
    measurement: Vec<u8>,
    /// In key order: position in `Key::tags`, and `,name=`.
    tags: Vec<(usize, Vec<u8>)>,
    /// `name=` by field index.
    fields: Vec<Vec<u8>>,
}

impl LineFormat {
    pub fn new(spec: &WindowSpec) -> LineFormat {
        let tags: Vec<&str> = spec.tags.iter().map(String::as_str).collect();
        LineFormat::of(&spec.measurement, &tags, spec.fields.iter().map(|f| f.name.as_str()))
    }

    /// The same from the names alone: tags in the order of `by`, fields in the window's order.
    pub fn of<'a>(measurement_name: &str, tags: &[&str], fields: impl IntoIterator<Item = &'a str>) -> LineFormat {
        let mut measurement = Vec::new();
        escape(measurement_name.as_bytes(), b", ", &mut measurement);
        let mut order: Vec<usize> = (0..tags.len()).collect();
        order.sort_by(|a, b| tags[*a].cmp(tags[*b]));
        let tag = |i: usize| {
            let mut name = vec![b','];
            escape(tags[i].as_bytes(), b",= ", &mut name);
            name.push(b'=');
            (i, name)
        };
        let field = |name: &str| {
            let mut out = Vec::new();
            escape(name.as_bytes(), b",= ", &mut out);
            out.push(b'=');
            out
        };
        LineFormat { measurement, tags: order.into_iter().map(tag).collect(), fields: fields.into_iter().map(field).collect() }
    }

    /// Appends the row's line with its line feed. Answers how many values were left out because they are not finite.
    pub fn render(&self, row: &Row, out: &mut Vec<u8>) -> u32 {
        out.extend_from_slice(&self.measurement);
        for (position, name) in &self.tags {
            let value = row.key.tags.get(*position).map_or("", |tag| tag);
            if !value.is_empty() {
                out.extend_from_slice(name);
                push_tag(value, out);
            }
        }
        out.push(b' ');
        let mut left_out = 0;
        for (name, value) in self.fields.iter().zip(&row.values) {
            left_out += u32::from(!push_field(name, *value, out));
        }
        for (name, number) in [(&b"heard="[..], row.heard), (b"expected=", row.expected)] {
            if let Some(number) = number {
                push_field(name, FieldValue::Int(i64::from(number)), out);
            }
        }
        if row.approx {
            out.extend_from_slice(b"approx=true,");
        }
        if row.revision == 0 && row.state == RowState::Final {
            out.extend_from_slice(b"revision=0i,state=\"final\" ");
        } else {
            push_field(b"revision=", FieldValue::Int(i64::from(row.revision)), out);
            out.extend_from_slice(b"state=\"");
            out.extend_from_slice(row.state.name().as_bytes());
            out.extend_from_slice(b"\" ");
        }
        out.extend_from_slice(itoa::Buffer::new().format(row.start.0).as_bytes());
        out.push(b'\n');
        left_out
    }
}

/// The formats of a set of pipelines, found by a row's own indices.
#[derive(Clone, Debug, Default)]
pub struct LineFormats(Vec<Vec<LineFormat>>);

impl LineFormats {
    pub fn new<'a>(pipelines: impl IntoIterator<Item = &'a Pipeline>) -> LineFormats {
        LineFormats(pipelines.into_iter().map(|p| p.windows.iter().map(LineFormat::new).collect()).collect())
    }

    /// See [`LineFormat::render`].
    pub fn render(&self, row: &Row, out: &mut Vec<u8>) -> u32 {
        self.0[row.pipeline as usize][row.window as usize].render(row, out)
    }
}

/// `name=value,`; false where the value is not finite. An absent value is no field at all.
#[inline]
fn push_field(name: &[u8], value: FieldValue, out: &mut Vec<u8>) -> bool {
    match value {
        FieldValue::Absent => return true,
        FieldValue::Int(n) => {
            out.extend_from_slice(name);
            out.extend_from_slice(itoa::Buffer::new().format(n).as_bytes());
            out.push(b'i');
        }
        FieldValue::Float(x) if x.is_finite() => {
            out.extend_from_slice(name);
            push_float(x, out);
        }
        FieldValue::Float(_) => return false,
    }
    out.push(b',');
    true
}

/// The shortest text that reads back to the same bits. `x` is finite.
#[inline]
pub fn push_float(x: f64, out: &mut Vec<u8>) {
    // whole numbers below 2^53, most sums and counts: the same text four times as fast; -0 is not among them
    let whole = x as i64;
    if whole.unsigned_abs() < 1 << 53 && (whole as f64).to_bits() == x.to_bits() {
        out.extend_from_slice(itoa::Buffer::new().format(whole).as_bytes());
        return;
    }
    if push_thousandths(x, out) {
        return;
    }
    let mut buffer = ryu::Buffer::new();
    let text = buffer.format_finite(x);
    out.extend_from_slice(text.strip_suffix(".0").unwrap_or(text).as_bytes());
}

/// Sensors' numbers have few digits. A decimal of at most 15 digits names one double only, so the first that reads back to `x` is the
/// shortest text.
#[inline]
fn push_thousandths(x: f64, out: &mut Vec<u8>) -> bool {
    let size = x.abs();
    if !(1e-3..1e11).contains(&size) {
        return false;
    }
    let thousandths = (size * 1000.0 + 0.5) as u64;
    if thousandths as f64 / 1000.0 != size {
        return false;
    }
    if x < 0.0 {
        out.push(b'-');
    }
    out.extend_from_slice(itoa::Buffer::new().format(thousandths / 1000).as_bytes());
    let rest = (thousandths % 1000) as u32;
    let digits = [b'.', b'0' + (rest / 100) as u8, b'0' + (rest / 10 % 10) as u8, b'0' + (rest % 10) as u8];
    let length = digits.iter().rposition(|d| *d != b'0').map_or(0, |last| last + 1);
    out.extend_from_slice(&digits[..length]);
    true
}

/// Bytes for which a tag is not written as it is.
static SPECIAL: [bool; 256] = {
    let mut special = [false; 256];
    let bytes = *b",= \\\n\r";
    let mut i = 0;
    while i < bytes.len() {
        special[bytes[i] as usize] = true;
        i += 1;
    }
    special
};

#[inline]
fn push_tag(value: &str, out: &mut Vec<u8>) {
    if value.bytes().fold(false, |special, b| special | SPECIAL[usize::from(b)]) {
        escape(stored_tag(value).as_bytes(), b",= ", out);
    } else {
        out.extend_from_slice(value.as_bytes());
    }
}

/// A tag's value as a store holds it: itself, but for line breaks and a backslash at the end (invariant 3).
pub fn stored_tag(value: &str) -> Cow<'_, str> {
    if !value.contains(['\n', '\r']) && !value.ends_with('\\') {
        return Cow::Borrowed(value);
    }
    let mut text = value.replace('\n', "\\n").replace('\r', "\\r");
    if text.ends_with('\\') {
        text.push(' ');
    }
    Cow::Owned(text)
}

fn escape(text: &[u8], special: &[u8], out: &mut Vec<u8>) {
    for byte in text {
        if special.contains(byte) {
            out.push(b'\\');
        }
        out.push(*byte);
    }
}

/// A row as a store knows it.
#[derive(Clone, PartialEq, Debug)]
pub struct StoredRow {
    pub measurement: String,
    /// In key order; values as [`stored_tag`] says.
    pub tags: Vec<(String, String)>,
    pub start: Timestamp,
    /// In any order, `heard` and `expected` among them.
    pub fields: Vec<(String, FieldValue)>,
    pub revision: u32,
    pub state: RowState,
}

impl StoredRow {
    /// One line without `revision` and `state`, fields in name order, no line feed: for comparing what stores hold.
    pub fn canonical(&self) -> String {
        let mut out = self.series();
        let mut fields: Vec<_> = self.fields.iter().filter(|(_, v)| *v != FieldValue::Absent).collect();
        fields.sort_by(|a, b| a.0.cmp(&b.0));
        out.push(b' ');
        for (name, value) in fields {
            let mut escaped = Vec::new();
            escape(name.as_bytes(), b",= ", &mut escaped);
            escaped.push(b'=');
            push_field(&escaped, *value, &mut out);
        }
        if out.last() == Some(&b',') {
            out.pop();
        }
        out.push(b' ');
        out.extend_from_slice(itoa::Buffer::new().format(self.start.0).as_bytes());
        String::from_utf8_lossy(&out).into_owned()
    }

    /// Measurement and tags as they stand at the head of a line.
    pub fn series(&self) -> Vec<u8> {
        let mut out = Vec::new();
        escape(self.measurement.as_bytes(), b", ", &mut out);
        push_tags(self.tags.iter().map(|(k, v)| (k.as_str(), v.as_str())), &mut out);
        out
    }
}

fn push_tags<'a>(tags: impl Iterator<Item = (&'a str, &'a str)>, out: &mut Vec<u8>) {
    for (name, value) in tags.filter(|(_, value)| !value.is_empty()) {
        out.push(b',');
        escape(name.as_bytes(), b",= ", out);
        out.push(b'=');
        push_tag(value, out);
    }
}

/// Head of a line for a measurement and tags given in any order.
pub fn series_of(measurement: &str, tags: &[(String, String)]) -> Vec<u8> {
    let mut sorted: Vec<_> = tags.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    sorted.sort();
    let mut out = Vec::new();
    escape(measurement.as_bytes(), b", ", &mut out);
    push_tags(sorted.into_iter(), &mut out);
    out
}

/// A line cut into its parts, nothing copied.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LineParts<'a> {
    /// Measurement and tags, escaped as they came.
    pub series: &'a [u8],
    pub fields: &'a [u8],
    pub start: Timestamp,
}

/// Cuts one line without its line feed; `None` where it is no line of ours (a timestamp is required).
pub fn split_line(line: &[u8]) -> Option<LineParts<'_>> {
    let series_end = find_unescaped(line, b" ")?;
    let rest = &line[series_end + 1..];
    let time_at = memchr::memrchr(b' ', rest)?;
    let start = std::str::from_utf8(&rest[time_at + 1..]).ok()?.parse().ok()?;
    Some(LineParts { series: &line[..series_end], fields: &rest[..time_at], start: Timestamp(start) })
}

/// Reads one line as this module writes it; `None` for anything else (strings other than `state`, other booleans).
pub fn parse_line(line: &[u8]) -> Option<StoredRow> {
    let parts = split_line(line)?;
    let (measurement, tags) = parse_series(parts.series)?;
    let (mut fields, mut revision, mut state) = (Vec::new(), 0, RowState::Final);
    each_field(parts.fields, |name, value| match (name, value) {
        (b"revision", RawValue::Int(n)) => revision = u32::try_from(n).unwrap_or(u32::MAX),
        (_, RawValue::Int(n)) => fields.push((unescape(name), FieldValue::Int(n))),
        (_, RawValue::Float(x)) => fields.push((unescape(name), FieldValue::Float(x))),
        (_, RawValue::State(s)) => state = s,
    })?;
    Some(StoredRow { measurement, tags, start: parts.start, fields, revision, state })
}

pub type Tags = Vec<(String, String)>;

/// Measurement and tags out of the head of a line.
pub fn parse_series(series: &[u8]) -> Option<(String, Tags)> {
    let mut pieces = split_unescaped(series, b',');
    let measurement = unescape(pieces.next()?);
    let mut tags = Vec::new();
    for piece in pieces {
        let eq = find_unescaped(piece, b"=")?;
        tags.push((unescape(&piece[..eq]), unescape(&piece[eq + 1..])));
    }
    Some((measurement, tags))
}

/// A field's value as it stands in a line of ours.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum RawValue {
    Int(i64),
    Float(f64),
    State(RowState),
}

/// Calls `take(name, value)` for each field, names escaped as they came; `None` at the first one that is not ours.
pub fn each_field<'a>(fields: &'a [u8], mut take: impl FnMut(&'a [u8], RawValue)) -> Option<()> {
    for piece in split_unescaped(fields, b',') {
        let eq = find_unescaped(piece, b"=")?;
        let (name, text) = (&piece[..eq], std::str::from_utf8(&piece[eq + 1..]).ok()?);
        let value = if let Some(state) = text.strip_prefix('"').and_then(|s| s.strip_suffix('"')) {
            RawValue::State(state_of_name(state).filter(|_| name == b"state")?)
        } else if text == "true" && name == b"approx" {
            RawValue::Int(1)
        } else if let Some(int) = text.strip_suffix('i') {
            RawValue::Int(int.parse().ok()?)
        } else {
            RawValue::Float(text.parse().ok().filter(|x: &f64| x.is_finite())?)
        };
        take(name, value);
    }
    Some(())
}

/// The inverse of [`RowState::name`].
pub fn state_of_name(name: &str) -> Option<RowState> {
    [RowState::Provisional, RowState::Final, RowState::Incomplete, RowState::Withdrawn].into_iter().find(|s| s.name() == name)
}

fn find_unescaped(text: &[u8], wanted: &[u8]) -> Option<usize> {
    let mut at = 0;
    while at < text.len() {
        match text[at] {
            b'\\' if matches!(text.get(at + 1), Some(b',' | b'=' | b' ')) => at += 2,
            b if wanted.contains(&b) => return Some(at),
            _ => at += 1,
        }
    }
    None
}

pub(super) fn split_unescaped(text: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let end = find_unescaped(text, &[separator]);
        rest = end.map(|end| &text[end + 1..]);
        Some(&text[..end.unwrap_or(text.len())])
    })
}

pub(super) fn unescape(text: &[u8]) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.iter().peekable();
    while let Some(byte) = bytes.next() {
        if *byte == b'\\' && matches!(bytes.peek(), Some(b',' | b'=' | b' ')) {
            continue;
        }
        out.push(*byte);
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
#[path = "line_tests.rs"]
mod tests;
