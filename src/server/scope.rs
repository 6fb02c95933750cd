//! Who may see what: areas × sectors.
//!
//! Owns: [`Scope`], the only place that answers "may this reader see that". Refuses to know: tokens, sockets, polygons, requests.
//!
//! Invariants
//! 1. A thing is seen if its sector is among the scope's sectors (none named: all) and its area lies within one of the scope's areas
//!    (none named: all).
//! 2. What lies outside every area is seen only by scopes without an area limit.
//! 3. Two scopes with the same limits have the same [`Scope::name`]; with other limits another one.
//!
//! Called by: board, hub, api. The tree is the registry's, handed in by the composition root.

use crate::server::wire::{AlertView, HealthView, Me};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

/// The registry's answer to "does this area lie within that area or group, or is it the same".
pub trait ScopeTree: Send + Sync + 'static {
    /// `area`: code of an area; `allowed`: code of an area or of a group.
    fn within(&self, area: &str, allowed: &str) -> bool;
}

impl<F: Fn(&str, &str) -> bool + Send + Sync + 'static> ScopeTree for F {
    fn within(&self, area: &str, allowed: &str) -> bool {
        self(area, allowed)
    }
}

/// Areas × sectors, with the tree that gives the areas their meaning.
#[derive(Clone)]
pub struct Scope {
    areas: BTreeSet<String>,
    sectors: BTreeSet<String>,
    tree: Arc<dyn ScopeTree>,
}

impl Scope {
    /// Empty lists mean no limit.
    pub fn new(areas: &[String], sectors: &[String], tree: Arc<dyn ScopeTree>) -> Scope {
        Scope { areas: areas.iter().cloned().collect(), sectors: sectors.iter().cloned().collect(), tree }
    }

    pub fn of(me: &Me, tree: Arc<dyn ScopeTree>) -> Scope {
        Scope::new(&me.areas, &me.sectors, tree)
    }

    pub fn sees(&self, sector: &str, area: Option<&str>) -> bool {
        self.sees_sector(sector) && self.sees_area(area)
    }

    pub fn sees_sector(&self, sector: &str) -> bool {
        self.sectors.is_empty() || self.sectors.contains(sector)
    }

    /// No sector is left out.
    pub fn sees_every_sector(&self) -> bool {
        self.sectors.is_empty()
    }

    pub fn sees_area(&self, area: Option<&str>) -> bool {
        match area {
            _ if self.areas.is_empty() => true,
            None => false,
            Some(code) => self.areas.iter().any(|allowed| self.tree.within(code, allowed)),
        }
    }

    pub fn sees_alert(&self, alert: &AlertView) -> bool {
        self.sees(&alert.sector, alert.area.as_ref().map(|area| area.code.as_str()))
    }

    /// Neither areas nor sectors are limited.
    pub fn is_whole(&self) -> bool {
        self.areas.is_empty() && self.sectors.is_empty()
    }

    /// 12 hexadecimal digits of the limits' hash: part of the epoch, so that a sequence never counts in another scope.
    pub fn name(&self) -> String {
        let mut hash = Sha256::new();
        for list in [&self.areas, &self.sectors] {
            for code in list {
                hash.update(code.as_bytes());
                hash.update([0]);
            }
            hash.update([1]);
        }
        hash.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect()
    }
}

impl PartialEq for Scope {
    fn eq(&self, other: &Scope) -> bool {
        self.areas == other.areas && self.sectors == other.sectors
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope").field("areas", &self.areas).field("sectors", &self.sectors).finish()
    }
}

/// What the driver knows of the state's health: parts that belong to areas and sectors, and what concerns everybody.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HealthInput {
    pub parts: Vec<HealthPart>,
    /// `parts` is left empty in this; the rest is the same for every reader.
    pub common: HealthView,
}

/// Counts of one sector and area; `None`: outside every area, or unknown (a record whose source could not be read).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HealthPart {
    pub sector: String,
    pub area: Option<String>,
    pub sources_expected: u32,
    pub sources_heard: u32,
    pub verdicts: std::collections::BTreeMap<String, u64>,
}

impl HealthInput {
    /// The sum of the parts in scope; counts in `common` are ignored.
    pub fn view(&self, scope: &Scope) -> HealthView {
        let mut view =
            HealthView { sources_expected: 0, sources_heard: 0, verdicts: std::collections::BTreeMap::new(), ..self.common.clone() };
        for part in self.parts.iter().filter(|part| scope.sees(&part.sector, part.area.as_deref())) {
            view.sources_expected += part.sources_expected;
            view.sources_heard += part.sources_heard;
            for (verdict, count) in &part.verdicts {
                *view.verdicts.entry(verdict.clone()).or_default() += count;
            }
        }
        view
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> Arc<dyn ScopeTree> {
        Arc::new(|area: &str, allowed: &str| area.starts_with(allowed))
    }

    fn codes(list: &[&str]) -> Vec<String> {
        list.iter().map(|code| (*code).to_owned()).collect()
    }

    #[test]
    fn areas_and_sectors_limit_independently() {
        type Case = (&'static [&'static str], &'static [&'static str], &'static str, Option<&'static str>, bool);
        let cases: &[Case] = &[
            (&[], &[], "traffic", None, true),
            (&["24"], &[], "traffic", None, false),
            (&["24"], &[], "traffic", Some("24617"), true),
            (&["24"], &[], "traffic", Some("25617"), false),
            (&["24", "25"], &["water"], "water", Some("25617"), true),
            (&["24", "25"], &["water"], "traffic", Some("25617"), false),
            (&[], &["water"], "water", None, true),
        ];
        for (areas, sectors, sector, area, seen) in cases {
            let scope = Scope::new(&codes(areas), &codes(sectors), tree());
            assert_eq!(scope.sees(sector, *area), *seen, "{scope:?} {sector} {area:?}");
        }
    }

    #[test]
    fn a_scope_is_named_by_its_limits() {
        let name = |areas: &[&str], sectors: &[&str]| Scope::new(&codes(areas), &codes(sectors), tree()).name();
        assert_eq!(name(&["a", "b"], &[]), name(&["b", "a", "a"], &[]));
        assert_ne!(name(&["a"], &[]), name(&[], &["a"]));
        assert_ne!(name(&["ab"], &[]), name(&["a", "b"], &[]));
    }
}
