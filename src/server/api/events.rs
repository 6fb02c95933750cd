//! The HTTP door of the log: CloudEvents HTTP protocol binding 1.0.2, structured, batched and binary.
//!
//! Owns: limits, the judgement of the envelope, the record that the log takes. Refuses to know: schemas, event time, which log.
//!
//! Invariants
//! 1. 202 means durable.
//! 2. All or nothing: if one event of a batch is no CloudEvent, none is appended, and the answer names each with its reason.
//! 3. The bytes of an event are passed on as they came; a batch is cut, not rewritten.
//! 4. What is on its way is bounded in bytes ([`crate::server::ServerSettings::events_in_flight`]); beyond, 503 with Retry-After.
//! 5. Copies of an event meet: the key is `partitionkey`, else `subject`, else `source` (R4).
//!
//! Called by: the router.

use super::App;
use super::caller::Caller;
use super::problem::Refusal;
use crate::server::parts::{DoorError, DoorRecord};
use crate::server::wire::Problem;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Request, StatusCode, header};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::sync::Arc;
use utoipa::ToSchema;

const STRUCTURED: &str = "application/cloudevents+json";
const BATCH: &str = "application/cloudevents-batch+json";
/// Events of one batch.
const MOST_EVENTS: usize = 20_000;
/// So many bad events of a batch are named.
const MOST_REASONS: usize = 20;

/// A CloudEvent 1.0 as JSON: what the door looks at. Extension attributes and `data` of any kind may stand beside these.
#[derive(ToSchema)]
pub struct CloudEvent {
    /// "1.0"
    #[schema(pattern = "^1\\.0$")]
    pub specversion: String,
    #[schema(min_length = 1)]
    pub id: String,
    #[schema(min_length = 1)]
    pub source: String,
    #[schema(min_length = 1)]
    pub r#type: String,
    pub subject: Option<String>,
    /// Copies of an event with the same key meet; else `subject`, else `source`.
    pub partitionkey: Option<String>,
    /// RFC 3339; judged later, as `data` is.
    pub time: Option<serde_json::Value>,
    pub data: Option<serde_json::Value>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Structured,
    Batch,
    Binary,
}

#[utoipa::path(
    post, path = "/api/v1/events", tag = "send",
    request_body(content((CloudEvent = "application/cloudevents+json"), (Vec<CloudEvent> = "application/cloudevents-batch+json"))),
    responses(
        (status = 202, description = "All of it is durable"),
        (status = 400, description = "Something is no CloudEvent 1.0: nothing was taken", body = Problem),
        (status = 408, description = "The body came too slowly", body = Problem),
        (status = 413, description = "Too many bytes or events", body = Problem),
        (status = 415, description = "Neither structured nor a batch nor binary (`ce-` headers)", body = Problem)
    )
)]
pub async fn post(State(app): State<Arc<App>>, caller: Caller, request: Request<Body>) -> Result<StatusCode, Refusal> {
    if !caller.guest.may_feed {
        return Err(Refusal::NotAllowed("sending events needs a token with the role source or admin".to_owned()));
    }
    let (parts, body) = request.into_parts();
    let mode = mode(&parts.headers)?;
    let limit = if mode == Mode::Batch { app.parts.settings.batch_limit } else { app.parts.settings.event_limit };
    let announced = parts.headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > limit) {
        return Err(super::too_large(limit));
    }
    let busy = |seconds| Refusal::Busy { seconds, detail: "events wait to become durable".to_owned() };
    // Parsing a batch takes a few times its bytes; the bound is on the bytes.
    let room = announced.unwrap_or(limit).max(1024).min(app.parts.settings.events_in_flight);
    let room = u32::try_from(room).unwrap_or(u32::MAX);
    let _room = app.events_room.clone().try_acquire_many_owned(room).map_err(|_| busy(1))?;
    let body = super::body(body, limit).await?;
    let records = match mode {
        Mode::Structured => vec![structured(body).map_err(Refusal::BadEvents)?],
        Mode::Binary => vec![binary(&parts.headers, body).map_err(Refusal::BadEvents)?],
        Mode::Batch => batch(&body)?,
    };
    if records.is_empty() {
        return Ok(StatusCode::ACCEPTED);
    }
    match app.parts.door.append(records).await {
        Ok(()) => Ok(StatusCode::ACCEPTED),
        Err(DoorError::Busy { retry_after }) => Err(busy(retry_after.as_secs().max(1))),
        Err(DoorError::Unavailable(detail)) => Err(Refusal::Unavailable(detail)),
    }
}

fn mode(headers: &HeaderMap) -> Result<Mode, Refusal> {
    let given = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let mut parts = given.split(';');
    let kind = parts.next().unwrap_or_default().trim().to_ascii_lowercase();
    let other_charset = parts.any(|each| {
        let each = each.trim().to_ascii_lowercase();
        each.strip_prefix("charset=").is_some_and(|charset| !matches!(charset.trim_matches('"'), "utf-8" | "utf8" | "us-ascii"))
    });
    match kind.as_str() {
        STRUCTURED | BATCH if other_charset => Err(Refusal::WrongMediaType(format!("{given}: UTF-8 is expected"))),
        STRUCTURED => Ok(Mode::Structured),
        BATCH => Ok(Mode::Batch),
        _ if kind.starts_with("application/cloudevents") => Err(Refusal::WrongMediaType(given.to_owned())),
        _ if headers.contains_key("ce-specversion") => Ok(Mode::Binary),
        _ => Err(Refusal::WrongMediaType(if given.is_empty() { "no content type".to_owned() } else { given.to_owned() })),
    }
}

/// What the door looks at; the decoder judges the rest.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    specversion: Option<Cow<'a, str>>,
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    source: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "type")]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    subject: Option<Cow<'a, str>>,
    #[serde(borrow)]
    partitionkey: Option<Cow<'a, str>>,
}

impl Envelope<'_> {
    /// The record's key, or what is wrong.
    fn key(&self) -> Result<String, String> {
        let needed = |name: &str, value: &Option<Cow<str>>| match value.as_deref() {
            None => Err(format!("{name} is missing")),
            Some("") => Err(format!("{name} is empty")),
            Some(_) => Ok(()),
        };
        needed("specversion", &self.specversion)?;
        needed("id", &self.id)?;
        needed("source", &self.source)?;
        needed("type", &self.kind)?;
        if self.specversion.as_deref() != Some("1.0") {
            return Err(format!("specversion is {:?}, not \"1.0\"", self.specversion.as_deref().unwrap_or_default()));
        }
        let filled = |value: &Option<Cow<str>>| value.as_deref().filter(|text| !text.is_empty()).map(str::to_owned);
        Ok(filled(&self.partitionkey).or_else(|| filled(&self.subject)).or_else(|| filled(&self.source)).unwrap_or_default())
    }
}

fn key_of(event: &[u8]) -> Result<String, String> {
    serde_json::from_slice::<Envelope>(event).map_err(|error| error.to_string())?.key()
}

fn structured(body: Bytes) -> Result<DoorRecord, String> {
    let key = key_of(&body)?;
    Ok(DoorRecord { key, headers: vec![("content-type".to_owned(), Bytes::from_static(STRUCTURED.as_bytes()))], body })
}

fn batch(body: &Bytes) -> Result<Vec<DoorRecord>, Refusal> {
    let events: Vec<&RawValue> =
        serde_json::from_slice(body).map_err(|error| Refusal::BadEvents(format!("a JSON array of events is expected: {error}")))?;
    if events.len() > MOST_EVENTS {
        return Err(Refusal::TooLarge(format!("{} events; a batch has at most {MOST_EVENTS}", events.len())));
    }
    let mut records = Vec::with_capacity(events.len());
    let mut wrong = Vec::new();
    for (place, event) in events.iter().enumerate() {
        match structured(body.slice_ref(event.get().as_bytes())) {
            Ok(record) => records.push(record),
            Err(reason) => wrong.push(format!("event {place}: {reason}")),
        }
    }
    if wrong.is_empty() {
        return Ok(records);
    }
    let more = wrong.len().saturating_sub(MOST_REASONS);
    wrong.truncate(MOST_REASONS);
    if more > 0 {
        wrong.push(format!("and {more} more"));
    }
    Err(Refusal::BadEvents(wrong.join("\n")))
}

fn binary(headers: &HeaderMap, body: Bytes) -> Result<DoorRecord, String> {
    let mut attributes: Vec<(String, String)> = Vec::new();
    for (name, value) in headers {
        let Some(attribute) = name.as_str().strip_prefix("ce-") else { continue };
        let value = value.to_str().map_err(|_| format!("{name}: not ASCII; other characters are percent-encoded"))?;
        if attributes.iter().any(|(known, _)| known == attribute) {
            return Err(format!("{name} is there twice"));
        }
        attributes.push((attribute.to_owned(), unescape(value).ok_or_else(|| format!("{name}: not UTF-8 after percent-decoding"))?));
    }
    let of = |name: &str| attributes.iter().find(|(known, _)| known == name).map(|(_, value)| Cow::Borrowed(value.as_str()));
    let envelope = Envelope {
        specversion: of("specversion"),
        id: of("id"),
        source: of("source"),
        kind: of("type"),
        subject: of("subject"),
        partitionkey: of("partitionkey"),
    };
    let key = envelope.key()?;
    let mut passed: Vec<(String, Bytes)> = attributes.into_iter().map(|(name, value)| (format!("ce_{name}"), Bytes::from(value))).collect();
    passed.sort();
    if let Some(kind) = headers.get(header::CONTENT_TYPE) {
        passed.push(("content-type".to_owned(), Bytes::copy_from_slice(kind.as_bytes())));
    }
    Ok(DoorRecord { key, headers: passed, body })
}

/// Percent-decoding as in section 3.1.3.2 of the binding; a `%` that begins no escape stands for itself.
fn unescape(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let pair = bytes.get(at + 1..at + 3).filter(|pair| bytes[at] == b'%' && pair.iter().all(u8::is_ascii_hexdigit));
        let decoded = pair.and_then(|pair| std::str::from_utf8(pair).ok()).and_then(|pair| u8::from_str_radix(pair, 16).ok());
        out.push(decoded.unwrap_or(bytes[at]));
        at += if decoded.is_some() { 3 } else { 1 };
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
#[path = "events_tests.rs"]
mod tests;
