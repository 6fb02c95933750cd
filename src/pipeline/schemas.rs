//! What event schemas tell pipelines: units, names of paths.
//!
//! Owns: the bridge from [`SchemaSet`] to [`Schemas`]. Refuses to know: how either is written.
//!
//! Invariants
//! 1. A schema is open: a path that it does not name may exist.
//!
//! Called by: definitions.

use super::compile::{PathInfo, Schemas};
use super::expr::ValueType;
use crate::event::schema::SchemaSet;

impl Schemas for SchemaSet {
    fn kinds(&self) -> Vec<String> {
        SchemaSet::kinds(self).map(str::to_owned).collect()
    }

    fn path(&self, kind: &str, path: &str) -> PathInfo {
        PathInfo { exists: None, kind: ValueType::default(), unit: self.unit(kind, path).unwrap_or_default().to_owned() }
    }

    fn paths(&self, kind: &str) -> Vec<String> {
        SchemaSet::paths(self, kind)
    }
}
