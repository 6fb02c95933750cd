//! Records that are not one structured event: binary mode (attributes in headers, `data` as the body) and batches.
//!
//! Owns: which headers are attributes, which content types are JSON. Refuses to know: Kafka, HTTP; percent-decoding of HTTP
//! header values has been done.
//!
//! Invariants
//! 1. A binary record gives the same event as the structured one with the same attributes as strings.
//! 2. The order of reasons is that of structured records: bytes, envelope, schema, time.
//!
//! Called by: ingest (Kafka, HTTP).

use super::decode::{Decoder, finish};
use super::envelope::{Envelope, check_name, twice};
use super::plan::attribute::{DATA, DATA_BASE64, DATACONTENTTYPE, DATASCHEMA};
use super::scan::{self, Cursor, bytes_fault};
use super::walk::Walk;
use super::{Event, Reason, Rejected};

impl Decoder {
    /// Binary mode: `ce_NAME` (Kafka) or `ce-NAME` (HTTP) headers and `content-type`; other headers are ignored. A body with a JSON
    /// content type, or without one, is `data` as JSON; a body of another type is kept unread. An empty body is no data.
    pub fn decode_binary<'a, H>(&'a mut self, headers: H, body: &'a [u8]) -> Result<Event<'a>, Box<Rejected>>
    where
        H: Iterator<Item = (&'a str, &'a [u8])>,
    {
        let mut walk = self.begin();
        let mut envelope = Envelope::new(&mut walk);
        let mut first: Option<Box<Rejected>> = None;
        for (name, value) in headers {
            if let Err(fault) = header(&walk, &mut envelope, name, value)
                && first.as_ref().is_none_or(|f| fault.reason < f.reason)
            {
                first = Some(fault);
            }
        }
        let source = envelope.source();
        let result = with_body(&mut walk, envelope, first, body);
        result.map_err(|mut fault| {
            fault.source = Some(source.to_owned()).filter(|s| !s.is_empty());
            fault
        })
    }
}

/// One header, if it is an attribute.
fn header<'a>(walk: &Walk<'_, 'a>, envelope: &mut Envelope<'a>, name: &str, value: &'a [u8]) -> Result<(), Box<Rejected>> {
    let prefix = name.get(..3).unwrap_or("");
    let attribute = if prefix.eq_ignore_ascii_case("ce_") || prefix.eq_ignore_ascii_case("ce-") {
        &name[3..]
    } else if name.eq_ignore_ascii_case("content-type") {
        "datacontenttype"
    } else {
        return Ok(());
    };
    check_name(attribute, 0)?;
    let text = std::str::from_utf8(value).map_err(|error| {
        let mut fault = bytes_fault("utf8", error.valid_up_to(), format!("the header {name} is not UTF-8"));
        fault.path = attribute.to_owned();
        fault
    })?;
    let number = walk.plan.children[..walk.plan.nodes[0].end as usize].iter().position(|child| *child.key.name == *attribute);
    match number.map(|n| n as u32) {
        None | Some(DATA | DATA_BASE64) => Ok(()),
        Some(number) if envelope.has(number) => Err(twice(walk.plan, number, 0)),
        Some(number @ 0..=DATASCHEMA) => envelope.set_text(walk.plan, number, text, 0),
        Some(number) => {
            envelope.set_extension(number, text);
            Ok(())
        }
    }
}

fn with_body<'a>(
    walk: &mut Walk<'_, 'a>,
    mut envelope: Envelope<'a>,
    first: Option<Box<Rejected>>,
    body: &'a [u8],
) -> Result<Event<'a>, Box<Rejected>> {
    if let Some(fault) = first.as_ref().filter(|f| f.reason == Reason::Bytes) {
        return Err(fault.clone());
    }
    let mut cursor = Cursor::new("");
    if body.is_empty() {
    } else if envelope.scalar_text(DATACONTENTTYPE).is_none_or(is_json) {
        let text = scan::utf8(body)?;
        scan::check_record(text)?;
        cursor = Cursor::new(text);
        cursor.ws();
        envelope.data = Some((cursor.i, text.trim_ascii_end().len()));
    } else {
        envelope.opaque = Some(body);
    }
    match first {
        Some(fault) => Err(fault),
        None => envelope.complete(0).and_then(|()| finish(walk, &cursor, envelope)),
    }
}

/// `application/json`, `text/json`, `application/geo+json; charset=utf-8` …
fn is_json(content_type: &str) -> bool {
    let media = content_type.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    media.ends_with("/json") || media.ends_with("+json")
}

/// The events of a batch (a JSON array, `application/cloudevents-batch+json`), each as its own bytes.
pub fn split_batch(bytes: &[u8]) -> Result<Vec<&[u8]>, Box<Rejected>> {
    let text = scan::utf8(bytes)?;
    let mut cursor = Cursor::new(text);
    if cursor.ws() != b'[' {
        return Err(cursor.fault("'[' of a batch"));
    }
    let mut events = Vec::new();
    cursor.i += 1;
    if cursor.ws() == b']' {
        cursor.i += 1;
        return cursor.end().map(|()| events);
    }
    loop {
        cursor.ws();
        let from = cursor.i;
        cursor.skip(1)?;
        events.push(&bytes[from..cursor.i]);
        match cursor.ws() {
            b',' => cursor.i += 1,
            b']' => {
                cursor.i += 1;
                return cursor.end().map(|()| events);
            }
            _ => return Err(cursor.fault("',' or ']'")),
        }
    }
}
