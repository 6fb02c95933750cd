//! Bytes of a record → [`Event`] or [`Rejected`], in one pass.
//!
//! Owns: [`Decoder`], the order of reasons. Refuses to know: where records come from, the broker's clock, pipelines.
//!
//! Invariants
//! 1. Of several faults the first of this order is told: bytes (JSON to the last byte), envelope, schema, time. A good record is
//!    read once; a bad one may be read three times.
//! 2. Nothing is built for a good record: no `serde_json::Value` (types with slow keywords apart) and no `String`.
//! 3. No input makes it panic; memory is bounded by the record's length.
//!
//! Called by: ingest, cli (`ioc check`), scenario.

use super::envelope::{Envelope, Scope};
use super::scan::{self, Cursor};
use super::walk::{Walk, schema_fault};
use super::{Event, Reason, Rejected, Scalar, TypeId};
use crate::time::Timestamp;
use bumpalo::Bump;
use std::sync::Arc;

pub use super::binary::split_batch;
pub use super::clock::judge_time;
pub use super::plan::{DecodePlan, Wanted};

/// One per thread: the plan and its scratch memory.
#[derive(Debug)]
pub struct Decoder {
    pub(crate) plan: Arc<DecodePlan>,
    pub(crate) guess: Vec<u32>,
    pub(crate) bump: Bump,
    pub(crate) buffer: String,
}

impl Decoder {
    pub fn new(plan: Arc<DecodePlan>) -> Decoder {
        let guess = vec![super::plan::NONE; plan.nodes.len() + plan.children.len()];
        Decoder { plan, guess, bump: Bump::new(), buffer: String::new() }
    }

    pub fn plan(&self) -> &Arc<DecodePlan> {
        &self.plan
    }

    /// Structured CloudEvents JSON. `bytes` is one record, white space around it allowed.
    ///
    /// Of a name given twice in `data` the last value counts; an attribute that has a meaning here given twice is refused.
    pub fn decode<'a>(&'a mut self, bytes: &'a [u8]) -> Result<Event<'a>, Box<Rejected>> {
        let text = match scan::utf8(bytes) {
            Ok(text) => text,
            Err(fault) => return Err(with_source(fault, bytes)),
        };
        let mut walk = self.begin();
        let mut cursor = Cursor::new(text);
        match record(&mut walk, &mut cursor) {
            Ok(event) => Ok(event),
            Err(first) => Err(with_source(graver(&mut walk, text, first), bytes)),
        }
    }

    /// Scratch for one record.
    #[inline(always)]
    pub(crate) fn begin<'p, 'a: 'p>(&'a mut self) -> Walk<'p, 'a> {
        self.bump.reset();
        let bump = &self.bump;
        Walk {
            plan: &self.plan,
            guess: &mut self.guess,
            bump,
            buffer: &mut self.buffer,
            slots: &mut [],
            lon: f64::NAN,
            lat: f64::NAN,
            invalid: 0,
        }
    }
}

fn record<'a>(walk: &mut Walk<'_, 'a>, cursor: &mut Cursor<'a>) -> Result<Event<'a>, Box<Rejected>> {
    let mut envelope = Envelope::new(walk);
    envelope.read(walk, cursor, Scope::Whole)?;
    finish(walk, cursor, envelope)
}

/// Looks whether a fault of an earlier kind hides behind the first one met.
#[cold]
#[inline(never)]
fn graver<'a>(walk: &mut Walk<'_, 'a>, text: &'a str, first: Box<Rejected>) -> Box<Rejected> {
    if first.reason == Reason::Bytes {
        return first;
    }
    if let Err(fault) = scan::check_record(text) {
        return fault;
    }
    if first.reason == Reason::Schema
        && let Err(fault) = Envelope::new(walk).read(walk, &mut Cursor::new(text), Scope::EnvelopeOnly)
    {
        return fault;
    }
    first
}

/// The envelope is valid: what is left is `data`, its slow check, the time.
#[inline(always)]
pub(crate) fn finish<'a>(walk: &mut Walk<'_, 'a>, cursor: &Cursor<'a>, envelope: Envelope<'a>) -> Result<Event<'a>, Box<Rejected>> {
    let plan = walk.plan;
    let kind = plan.plan_of(envelope.kind);
    if let Some((from, _)) = envelope.data
        && !envelope.walked
    {
        envelope.prepare(walk);
        walk.value(&mut Cursor { i: from, ..*cursor }, kind.root, 1)?;
    }
    let data = envelope.data.map_or("", |(from, to)| cursor.text.get(from..to).unwrap_or(""));
    if let Some(schema) = &kind.schema {
        if envelope.data.is_none() {
            return Err(no_data(&envelope, cursor.i));
        }
        if let Some(slow) = &schema.slow {
            slow_check(&slow.validator, data, envelope.data.map_or(0, |(from, _)| from))?;
        }
    }
    let time = envelope.time()?;
    if envelope.data.is_none() {
        envelope.prepare(walk);
    }
    for (slot, attribute) in &kind.attributes {
        if let Some(slot) = walk.slots.get_mut(*slot as usize) {
            *slot = envelope.scalar(*attribute);
        }
    }
    Ok(event(walk, &envelope, time, envelope.opaque.unwrap_or(data.as_bytes())))
}

#[inline(always)]
fn event<'a>(walk: &mut Walk<'_, 'a>, envelope: &Envelope<'a>, time: Timestamp, data: &'a [u8]) -> Event<'a> {
    let mut position = None;
    if !walk.lon.is_nan() && !walk.lat.is_nan() {
        if walk.lon.abs() <= 180.0 && walk.lat.abs() <= 90.0 {
            position = Some([walk.lon, walk.lat]);
        } else {
            walk.invalid += 1;
        }
    }
    let slots: &'a mut [Scalar<'a>] = std::mem::take(&mut walk.slots);
    Event {
        kind: envelope.kind,
        kind_name: envelope.kind_name(),
        id: envelope.id(),
        source: envelope.source(),
        subject: envelope.subject(),
        time,
        position,
        data,
        slots,
        invalid_fields: walk.invalid,
    }
}

#[cold]
fn no_data(envelope: &Envelope<'_>, at: usize) -> Box<Rejected> {
    if envelope.opaque.is_some() {
        return schema_fault("type", "data", at, "found data that is not JSON, but the type has a schema".into());
    }
    schema_fault("required", "data", at.saturating_sub(1), "\"data\" is missing, but the type has a schema".into())
}

/// Types whose schema uses keywords beyond the pass: the `jsonschema` crate on a value.
#[cold]
fn slow_check(validator: &jsonschema::Validator, data: &str, from: usize) -> Result<(), Box<Rejected>> {
    let value: serde_json::Value = serde_json::from_str(data).map_err(|error| {
        // JSON by the grammar, but with half a surrogate pair or a number beyond doubles
        schema_fault("unreadable", "data", from, format!("this type's schema cannot be checked: {error}"))
    })?;
    validator.validate(&value).map_err(|error| {
        let place = error.instance_path().to_string();
        let mut path = place.replace('/', ".").replace("~1", "/").replace("~0", "~");
        if let jsonschema::error::ValidationErrorKind::Required { property } = error.kind() {
            path = format!("{path}.{}", property.as_str().unwrap_or(""));
        }
        schema_fault(&kebab(error.kind().keyword()), &format!("data{path}"), from, error.masked().to_string())
    })
}

/// "oneOf" → "one-of".
fn kebab(keyword: &str) -> String {
    let mut out = String::with_capacity(keyword.len() + 4);
    for c in keyword.chars() {
        if c.is_ascii_uppercase() {
            out.push('-');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

/// Names the source that the record gives, if it can be read that far.
#[cold]
#[inline(never)]
fn with_source(mut fault: Box<Rejected>, bytes: &[u8]) -> Box<Rejected> {
    let readable =
        std::str::from_utf8(bytes).unwrap_or_else(|e| bytes.get(..e.valid_up_to()).and_then(|b| std::str::from_utf8(b).ok()).unwrap_or(""));
    fault.source = source_of(readable);
    fault
}

fn source_of(text: &str) -> Option<String> {
    let mut cursor = Cursor::new(text);
    if cursor.ws() != b'{' {
        return None;
    }
    let plain = |cursor: &Cursor, text| {
        let mut out = String::new();
        scan::unescape(cursor.raw(text), &mut out);
        out
    };
    loop {
        cursor.i += 1; // after '{' or ','
        let name = cursor.name().ok()?;
        if plain(&cursor, name) == "source" && cursor.ws() == b'"' {
            cursor.i += 1;
            let text = cursor.string().ok()?;
            return Some(plain(&cursor, text)).filter(|source| !source.is_empty());
        }
        cursor.skip(1).ok()?;
        if cursor.ws() != b',' {
            return None;
        }
    }
}

impl TypeId {
    /// Whether a schema or a pipeline names the type.
    pub fn is_known(self) -> bool {
        self != TypeId::UNKNOWN
    }
}
