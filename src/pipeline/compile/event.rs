//! What expressions over one event may name.
//!
//! Owns: the event's names in expressions (`data.*` and CloudEvents attributes) and what to say where another stands. Refuses to know:
//! windows, rows, how values are decoded (a path becomes a slot of `Wanted`).
//!
//! Invariants
//! 1. A path that no type of the window has by its closed schema is a mistake; one that only some types have is absent in the others.
//! 2. A bare name is an attribute that CloudEvents defines, never silently a misspelt one.
//!
//! Called by: compile.

use super::super::expr::syntax::Ast;
use super::super::expr::{ExprError, Found, Scope, Unresolved, ValueType};
use super::super::mistake::closest;
use super::Schemas;
use super::window::is_aggregate;
use crate::event::decode::Wanted;
use std::collections::BTreeSet;
use std::ops::Range;

/// Attributes that every event may have, and CloudEvents' documented extensions.
const ATTRIBUTES: [&str; 13] = [
    "source",
    "subject",
    "type",
    "id",
    "partitionkey",
    "datacontenttype",
    "dataschema",
    "dataref",
    "sequence",
    "sequencetype",
    "traceparent",
    "tracestate",
    "sampledrate",
];

/// Where the expression stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    Where,
    Key,
    /// Inside an aggregate.
    Argument,
}

pub struct EventScope<'a> {
    pub schemas: &'a dyn Schemas,
    pub wanted: &'a mut Wanted,
    /// The type compiled for.
    pub kind: &'a str,
    /// All types that the expression is compiled for.
    pub kinds: &'a [String],
    pub role: Role,
}

impl EventScope<'_> {
    fn data(&mut self, path: &str) -> Result<Found, Unresolved> {
        let missing = |kind: &str| self.schemas.path(kind, path).exists == Some(false);
        if self.kinds.iter().all(|kind| missing(kind)) {
            let paths: BTreeSet<String> = self.kinds.iter().flat_map(|k| self.schemas.paths(k)).collect();
            let next = closest(path, paths.iter().map(String::as_str));
            let has = if next.is_some() || paths.is_empty() {
                String::new()
            } else {
                format!(": it has {}", paths.into_iter().collect::<Vec<_>>().join(", "))
            };
            return Err(Unresolved { what: format!("the schema of {} has no `{path}`{has}", self.kinds.join(", ")), next });
        }
        if missing(self.kind) {
            return Ok(Found::Absent);
        }
        let kind = self.schemas.path(self.kind, path).kind;
        Ok(Found::Slot(self.wanted.slot(self.kind, path), kind))
    }
}

impl Scope for EventScope<'_> {
    fn variable(&mut self, path: &str) -> Result<Found, Unresolved> {
        if path.strip_prefix("data.").is_some_and(|rest| !rest.is_empty()) {
            return self.data(path);
        }
        if ATTRIBUTES.contains(&path) {
            return Ok(Found::Slot(self.wanted.slot(self.kind, path), ValueType::Text));
        }
        let refuse = |what: String, next: Option<String>| Err(Unresolved { what, next });
        let head = path.split('.').next().unwrap_or(path);
        match head {
            "data" => refuse("`data` is the whole object: name a field of it, as in `data.count`".into(), None),
            "area" => refuse("an event's area is known only as a key: write `area` in `by`".into(), None),
            "time" => refuse("an event's time is no value here: windows go by it".into(), None),
            "source" | "subject" | "type" | "id" => {
                refuse(format!("`{head}` is a text without members; attributes of the registered source are for alerts"), None)
            }
            _ => {
                let data = format!("data.{path}");
                let known = self.kinds.iter().any(|k| self.schemas.path(k, &data).exists == Some(true));
                let open = self.kinds.iter().any(|k| self.schemas.path(k, &data).exists.is_none());
                let near = closest(path, ATTRIBUTES);
                let next = if known || (near.is_none() && open) { Some(data) } else { near };
                refuse(format!("an event has no attribute `{path}`: fields of its data begin with `data.`"), next)
            }
        }
    }

    fn call(&mut self, name: &str, _args: &[Ast], at: &Range<usize>) -> Option<Result<Found, ExprError>> {
        if !is_aggregate(name) {
            return None;
        }
        let what = match self.role {
            Role::Argument => format!("`{name}` cannot stand inside another aggregate: give it a field of its own and combine the fields"),
            Role::Where => {
                format!("`where` judges one event, `{name}` is an aggregate of many: write it in `fields`, or a threshold in `alerts`")
            }
            Role::Key => format!("a key comes from one event, `{name}` is an aggregate of many"),
        };
        Some(Err(ExprError::new(at.clone(), what)))
    }
}
