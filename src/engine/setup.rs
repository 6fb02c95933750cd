//! What a lane computes with: pipelines, decode plan, registry. Immutable while in force.
//!
//! Owns: [`Setup`]: the definitions and, by event type, who wants it. Refuses to know: state.
//!
//! Invariants
//! 1. Equal `version`, equal results: it is a hash of all that changes them (D2).
//!
//! Called by: collect, merge, driver (makes it), server (catalog).

use crate::event::TypeId;
use crate::event::decode::DecodePlan;
use crate::pipeline::Pipeline;
use crate::pipeline::personal::Personal;
use crate::registry::Registry;
use crate::time::Span;
use std::sync::Arc;

#[derive(Debug)]
pub struct Setup {
    pub pipelines: Vec<Pipeline>,
    pub plan: Arc<DecodePlan>,
    pub registry: Arc<Registry>,
    /// T1: an event this far ahead of its broker_time is rejected.
    pub max_ahead: Span,
    /// T1: an event older than this is rejected; `None`: no bound (files).
    pub max_behind: Option<Span>,
    /// sha256 over pipelines, schemas and registry, 64 hex digits.
    pub version: String,
    /// Hash of the areas alone: keys with an `area` tag mean the same while it is the same.
    pub areas_version: String,
    /// Event types whose check takes a second pass, with the keywords that cause it.
    pub slow_types: Vec<(String, Vec<String>)>,
    /// What would show personal data.
    pub personal: Personal,
    by_type: Vec<Vec<Wanting>>,
}

/// Hashes of definitions, 64 hex digits each.
#[derive(Clone, Debug, Default)]
pub struct Versions {
    pub all: String,
    pub areas: String,
}

/// A pipeline that wants an event type: its index, and the type's index in its `types`.
#[derive(Clone, Copy, Debug)]
pub struct Wanting {
    pub pipeline: usize,
    pub plan: usize,
}

/// T1's default bound.
pub const MAX_AHEAD: Span = Span::minutes(1);
/// T1's default bound for live lanes.
pub const MAX_BEHIND: Span = Span::days(30);

impl Setup {
    pub fn new(
        pipelines: Vec<Pipeline>,
        plan: Arc<DecodePlan>,
        registry: Arc<Registry>,
        versions: Versions,
        max_behind: Option<Span>,
    ) -> Setup {
        let mut by_type: Vec<Vec<Wanting>> = Vec::new();
        for (pipeline, p) in pipelines.iter().enumerate() {
            for (index, t) in p.types.iter().enumerate() {
                let TypeId(id) = plan.type_id(&t.kind);
                if by_type.len() <= id as usize {
                    by_type.resize(id as usize + 1, Vec::new());
                }
                by_type[id as usize].push(Wanting { pipeline, plan: index });
            }
        }
        let Versions { all: version, areas: areas_version } = versions;
        Setup {
            pipelines,
            plan,
            registry,
            max_ahead: MAX_AHEAD,
            max_behind,
            version,
            areas_version,
            slow_types: Vec::new(),
            personal: Personal::default(),
            by_type,
        }
    }

    pub fn schemas_checked_twice(&self) -> impl Iterator<Item = (&str, &[String])> {
        self.slow_types.iter().map(|(kind, keywords)| (kind.as_str(), keywords.as_slice()))
    }

    /// Who wants events of this type, in pipeline order.
    #[inline]
    pub fn wanting(&self, kind: TypeId) -> &[Wanting] {
        self.by_type.get(kind.0 as usize).map_or(&[], Vec::as_slice)
    }
}
