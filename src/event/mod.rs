//! One event: what the decoder hands to the engine, borrowed from the record's bytes.
//!
//! Owns: [`Event`], [`Scalar`], [`Rejected`]. Refuses to know: pipelines, windows, clocks, where bytes come from.
//!
//! Invariants
//! 1. An `Event` is valid: envelope, schema and valid ranges have been judged; what fell outside its range is `Scalar::Absent`.
//! 2. Every refusal is a [`Rejected`] with reason, path, byte position and detail; nothing is dropped without one.
//!
//! Called by: ingest (decode), engine::collect (judges), pipeline::map (makes envelopes).

mod binary;
mod clock;
pub mod decode;
mod envelope;
mod pattern;
mod plan;
mod scan;
pub mod schema;
mod shape;
#[cfg(test)]
mod tests;
mod walk;

use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A value that an expression or an aggregate may read. JSON `null`, a missing member and a value outside its valid range are all
/// `Absent` (R6); an object or array is `Absent` too.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub enum Scalar<'a> {
    #[default]
    Absent,
    Bool(bool),
    Num(f64),
    Text(&'a str),
}

/// Index of an event type in the decoder's plan.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct TypeId(pub u16);

impl TypeId {
    /// A type that neither a schema nor a pipeline names.
    pub const UNKNOWN: TypeId = TypeId(u16::MAX);
}

/// One decoded CloudEvent.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    pub kind: TypeId,
    pub kind_name: &'a str,
    pub id: &'a str,
    pub source: &'a str,
    pub subject: Option<&'a str>,
    /// Never absent: an event without a time was rejected (T1).
    pub time: Timestamp,
    /// [longitude, latitude] in degrees, WGS 84.
    pub position: Option<[f64; 2]>,
    /// The bytes of `data` as they came; empty if there is none. Two copies with other bytes here are a conflict (R4).
    pub data: &'a [u8],
    /// Values of the paths that somebody wants of this type, in the order of `DecodePlan::paths(kind)`.
    pub slots: &'a [Scalar<'a>],
    /// Fields emptied because their value lies outside the valid range.
    pub invalid_fields: u32,
}

/// The first thing wrong with a record.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Not RFC 8259 JSON in UTF-8, to the last byte.
    Bytes,
    /// Not a CloudEvent 1.0.
    Envelope,
    /// `data` does not fit the schema of its type.
    Schema,
    /// T1: no time, unparsable, ahead of broker_time, too old.
    Time,
}

impl Reason {
    pub const fn name(self) -> &'static str {
        match self {
            Reason::Bytes => "bytes",
            Reason::Envelope => "envelope",
            Reason::Schema => "schema",
            Reason::Time => "time",
        }
    }
}

/// Why a record was refused (D5). The original bytes are kept by whoever holds them.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Rejected {
    pub reason: Reason,
    /// What exactly: one kebab-case word, stable: "utf8", "syntax", "trailing", "missing", "empty", "type", "specversion", "enum",
    /// "pattern", "required", "ahead", "behind", …
    pub what: std::borrow::Cow<'static, str>,
    /// JSON path of the place, "data.count"; empty for the whole record.
    pub path: String,
    /// Byte offset in the record where it was noticed.
    pub at: u32,
    /// One sentence for a person: what was found, what was expected.
    pub detail: String,
    /// The source named by the record, if the envelope could be read that far.
    pub source: Option<String>,
}

impl Rejected {
    /// "schema.required": the reason as written to files and counters.
    pub fn code(&self) -> String {
        format!("{}.{}", self.reason.name(), self.what)
    }
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {} (byte {}): {}", self.code(), if self.path.is_empty() { "the record" } else { &self.path }, self.at, self.detail)
    }
}
