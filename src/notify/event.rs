//! An alert change as a CloudEvent.
//!
//! Owns: its attributes. Refuses to know: where it goes, what an alert is.
//!
//! Invariants
//! 1. (`source`, `id`) names one change for ever: whoever gets a copy can tell.
//! 2. `sequence` rises by one with every change; `subject` and `partitionkey` are the alert's id, so that one alert's changes stay in order.
//!
//! Called by: notify (channels), server (`/api/v1/alerts/stream`).

use crate::journal::Told;
use crate::time::Timestamp;
use serde_json::json;

pub const KIND: &str = "ioc.alert.changed";
pub const SOURCE: &str = "/ioc/alerts";
pub const CONTENT_TYPE: &str = "application/cloudevents+json; charset=utf-8";

/// Alert, version and number: an alert that ended and begins anew counts its versions from one.
pub fn id(told: &Told) -> String {
    format!("{}-{}-{}", told.alert, told.version, told.number)
}

/// Structured mode: one JSON object.
pub fn structured(told: &Told) -> String {
    let head = json!({
        "specversion": "1.0",
        "id": id(told),
        "source": SOURCE,
        "type": KIND,
        "subject": told.alert,
        "time": Timestamp(told.time).to_string(),
        "datacontenttype": "application/json",
        "partitionkey": told.alert,
        "sequence": told.number.to_string(),
    });
    let head = head.to_string();
    // the alert is JSON already: it goes in as it was journaled
    format!("{},\"data\":{}}}", head.strip_suffix('}').unwrap_or(&head), told.json)
}
