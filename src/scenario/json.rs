//! A part of a YAML file as JSON: the data of events, lines of the registry.
//!
//! Owns: what an unquoted scalar means. Refuses to know: which keys there are.
//!
//! Invariants
//! 1. Unquoted: `true`, `false`, JSON numbers, and, where asked, "+4h" as the instant; everything else is text. Quoted: text.
//!
//! Called by: spec.

use super::moment::moment;
use crate::pipeline::yaml::{Node, NodeKind, Text};
use crate::time::Timestamp;
use serde_json::{Map, Value};

/// `start`: unquoted "+4h" and "-4h" become the RFC 3339 text of that instant.
pub(super) fn json(node: &Node, start: Option<Timestamp>) -> Value {
    match &node.kind {
        NodeKind::Unread | NodeKind::Null => Value::Null,
        NodeKind::Scalar(text) => scalar(text, start),
        NodeKind::List(list) => list.iter().map(|n| json(n, start)).collect(),
        NodeKind::Map(entries) => entries.iter().map(|(k, n)| (k.value.clone(), json(n, start))).collect::<Map<_, _>>().into(),
    }
}

fn scalar(text: &Text, start: Option<Timestamp>) -> Value {
    let value = text.value.as_str();
    if !text.plain {
        return value.into();
    }
    if let Some(start) = start
        && value.starts_with(['+', '-'])
        && let Some(at) = moment(value, start)
        && value.ends_with(|c: char| c.is_ascii_alphabetic())
    {
        return at.to_string().into();
    }
    match value {
        "true" => true.into(),
        "false" => false.into(),
        _ => match serde_json::from_str::<Value>(value) {
            Ok(number @ Value::Number(_)) => number,
            _ => value.into(),
        },
    }
}

/// `over` laid over `under`: objects key by key, everything else as a whole.
pub(super) fn laid_over(under: &Value, over: Value) -> Value {
    match (under, over) {
        (Value::Object(under), Value::Object(over)) => {
            let mut all = under.clone();
            for (key, value) in over {
                let value = all.get(&key).map_or(value.clone(), |u| laid_over(u, value.clone()));
                all.insert(key, value);
            }
            Value::Object(all)
        }
        (_, over) => over,
    }
}
