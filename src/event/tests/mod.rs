//! Tests of decoding: tables named as sentences, the files of `schemas/`, agreement with `serde_json`.

mod agreement;
mod envelope;
mod files;
mod schema;
mod values;

use super::decode::{DecodePlan, Decoder, Wanted};
use super::schema::SchemaSet;
use super::{Event, Rejected, Scalar};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A decoder for the schemas (type → JSON) and the wanted paths (type → paths).
pub(crate) fn decoder(schemas: &[(&str, &str)], wanted: &[(&str, &[&str])]) -> Decoder {
    let files: BTreeMap<String, String> = schemas.iter().map(|(kind, text)| (format!("schemas/{kind}.json"), (*text).to_owned())).collect();
    let set = SchemaSet::parse(&files).unwrap_or_else(|errors| panic!("{errors:?}"));
    let mut paths = Wanted::default();
    for (kind, all) in wanted {
        for path in *all {
            paths.slot(kind, path);
        }
    }
    Decoder::new(Arc::new(DecodePlan::compile(&set, &paths)))
}

/// An event of type `t` with these `data`.
pub(crate) fn with_data(data: &str) -> String {
    format!(r#"{{"specversion":"1.0","id":"1","source":"/x","type":"t","time":"2025-07-15T00:25:30Z","data":{data}}}"#)
}

/// The reject code and path, or the slots.
pub(crate) fn verdict(decoder: &mut Decoder, record: &str) -> String {
    match decoder.decode(record.as_bytes()) {
        Ok(event) => shown(&event),
        Err(rejected) => told(&rejected),
    }
}

pub(crate) fn shown(event: &Event<'_>) -> String {
    let slots = event.slots.iter().map(|slot| match slot {
        Scalar::Absent => "-".to_owned(),
        Scalar::Bool(b) => b.to_string(),
        Scalar::Num(v) => format!("{v:?}"),
        Scalar::Text(t) => format!("'{t}'"),
    });
    let slots: Vec<String> = slots.collect();
    let mut out = slots.join(" ");
    if event.invalid_fields > 0 {
        out += &format!(" invalid={}", event.invalid_fields);
    }
    if let Some([lon, lat]) = event.position {
        out += &format!(" @{lon},{lat}");
    }
    out.trim().to_owned()
}

pub(crate) fn told(rejected: &Rejected) -> String {
    format!("{} {}", rejected.code(), rejected.path).trim().to_owned()
}
