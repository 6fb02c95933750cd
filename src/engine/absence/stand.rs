//! Alerts on areas that stand for the silences of single sources there.
//!
//! Owns: which such alerts stand, over which area, and how many silences each stands for. Refuses to know: why they stand, partitions.
//!
//! Invariants
//! 1. An alert stands from firing to resolved, *no data* included; "outside" every area it stands for nobody.
//! 2. It counts every silence of its rules in its area, told before it or not.
//! 3. A tick costs O(alerts that stand + silences of their rules, where one of them changed).
//!
//! Called by: absence.rs.

use super::{Rule, Told};
use crate::engine::alert::AlertBook;
use crate::engine::setup::Setup;
use crate::engine::{AlertChange, AlertId, Condition, Key};
use crate::geo::AreaId;
use crate::registry::Registry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

#[derive(Debug, Default)]
pub(super) struct Stands {
    /// (pipeline, rule) of alerts that stand for silences → indexes of the rules whose silences they are.
    rules: BTreeMap<(u16, u16), Vec<usize>>,
    standing: BTreeMap<AlertId, Stand>,
    /// One began to stand since it was last counted.
    changed: bool,
}

#[derive(Debug)]
struct Stand {
    area: AreaId,
    rules: Vec<usize>,
    /// As last told.
    count: u32,
}

impl Stand {
    fn covers(&self, rule: usize, key: &Key, registry: &Registry) -> bool {
        self.rules.contains(&rule) && key.area.is_some_and(|area| area == self.area || registry.areas.within(area, self.area))
    }
}

impl Stands {
    pub fn new(setup: &Setup, absences: &[Rule]) -> Stands {
        let mut rules = BTreeMap::new();
        for (p, pipeline) in setup.pipelines.iter().enumerate() {
            for (r, rule) in pipeline.rules.iter().enumerate().filter(|(_, rule)| !rule.stands_for.is_empty()) {
                let named = |absence: &Rule| rule.stands_for.contains(&setup.pipelines[absence.pipeline].absences[absence.absence].name);
                let found = absences.iter().enumerate().filter(|(_, absence)| named(absence)).map(|(i, _)| i);
                rules.insert((p as u16, r as u16), found.collect());
            }
        }
        Stands { rules, standing: BTreeMap::new(), changed: false }
    }

    /// Does an alert stand for a silence of this rule and key?
    pub fn covers(&self, rule: usize, key: &Key, registry: &Registry) -> bool {
        self.standing.values().any(|stand| stand.covers(rule, key, registry))
    }

    /// Alerts that began or ended to stand; silences that lost the one that stood for them are told now.
    pub fn turn(&mut self, rules: &mut [Rule], setup: &Setup, changes: &[AlertChange], out: &mut Vec<Told>) {
        if self.rules.is_empty() {
            return;
        }
        for change in changes {
            let Some(of) = self.rules.get(&(change.pipeline, change.rule)) else { continue };
            match (change.to, change.key.area) {
                (Condition::Firing, Some(area)) => {
                    let stand = Stand { area, rules: of.clone(), count: 0 };
                    self.standing.entry(change.id).or_insert(stand);
                    self.changed = true;
                }
                (Condition::Resolved | Condition::Inactive, _) => {
                    if let Some(ended) = self.standing.remove(&change.id) {
                        self.hand_back(&ended, change, rules, setup, out);
                    }
                }
                _ => {}
            }
        }
    }

    fn hand_back(&self, ended: &Stand, change: &AlertChange, rules: &mut [Rule], setup: &Setup, out: &mut Vec<Told>) {
        for i in ended.rules.iter().copied() {
            let silent: BTreeSet<Arc<str>> = rules[i].silent.clone();
            for source in silent {
                let place = (rules[i].pipeline, rules[i].absence);
                let Some(watch) = rules[i].watches.get_mut(&source) else { continue };
                let mine = ended.covers(i, &watch.key, &setup.registry) && !self.covers(i, &watch.key, &setup.registry);
                if let Some(silent) = watch.silent.as_mut().filter(|silent| mine && !silent.told) {
                    silent.told = true;
                    silent.at = silent.at.max(change.at);
                    out.push(Told { rule: place, watch: watch.key.clone(), silent: *silent, end: None });
                }
            }
        }
    }

    /// Alerts that stand for another number of silences than was told.
    pub fn counts(&mut self, rules: &mut [Rule], registry: &Registry) -> Vec<(AlertId, u32)> {
        let mut changed = Vec::new();
        let mut stale = std::mem::take(&mut self.changed);
        for rule in rules.iter_mut() {
            stale |= std::mem::take(&mut rule.changed);
        }
        if !stale {
            return changed;
        }
        let rules = &*rules;
        for (id, stand) in &mut self.standing {
            let silent = |i: usize| rules[i].silent.iter().filter_map(move |source| rules[i].watches.get(source).map(|watch| (i, watch)));
            let all = stand.rules.iter().flat_map(|i| silent(*i));
            let count = all.filter(|(i, watch)| stand.covers(*i, &watch.key, registry)).count() as u32;
            if count != stand.count {
                stand.count = count;
                changed.push((*id, count));
            }
        }
        changed
    }

    /// What stands is in the book.
    pub fn restore(&mut self, book: &AlertBook, setup: &Setup) {
        for alert in book.iter().filter(|a| matches!(a.condition, Condition::Firing | Condition::NoData)) {
            let place = (alert.last.pipeline, alert.last.rule);
            let same = setup.pipelines.get(place.0 as usize).and_then(|p| p.rules.get(place.1 as usize));
            let same = same.is_some_and(|rule| *rule.version == *alert.last.rule_version);
            if let (Some(rules), Some(area), true) = (self.rules.get(&place), alert.key.area, same) {
                self.standing.insert(alert.id, Stand { area, rules: rules.clone(), count: alert.stands_for });
            }
        }
    }
}
