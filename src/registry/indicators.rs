//! `indicators.yaml`: what plans promise: figures, their targets by date and level, and the sentence that says so.
//!
//! Owns: that file, its types, which target holds when, the straight line to the next one. Refuses to know: what units report, rules.
//!
//! Invariants
//! 1. A code stands once; every indicator has a target; targets of one unit or level have different dates.
//! 2. A target holds from the end of its day; before its first day is over the first one is what is aimed at.
//! 3. Nothing is extrapolated: no line without a baseline, none before it; after the last target the line stays on it.
//!
//! Called by: `Registry::parse`, engine (rules).

use super::RegistryFiles;
use super::decode::decode_yaml;
use super::error::{FileError, Place, suggestion};
use crate::geo::{AreaIndex, date_at_midnight};
use crate::time::{Every, Span, Timestamp};
use serde::Deserialize;
use serde_saphyr::Spanned;
use std::collections::{BTreeMap, BTreeSet};

const FILE: &str = "indicators.yaml";
/// Levels that targets may name whatever areas there are.
const LEVELS: [&str; 4] = ["all", "province", "district", "commune"];
const ALL: &str = "all";

#[derive(Clone, PartialEq, Debug)]
pub struct Indicator {
    pub code: String,
    pub name_vi: String,
    /// The Vietnamese name where the file gives no English one.
    pub name_en: String,
    /// "%", "databases".
    pub unit: String,
    pub direction: Direction,
    /// How often it is reported.
    pub cadence: Every,
    /// How long after the end of a period a report may come.
    pub grace: Span,
    /// By unit; `None`: of every unit.
    pub baselines: Vec<(Option<String>, Baseline)>,
    /// By date.
    pub targets: Vec<Target>,
}

/// Which way is better.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    Up,
    Down,
}

/// A value that was reached at a time: where the straight line begins.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Baseline {
    pub at: Timestamp,
    pub value: f64,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Target {
    /// The end of its day.
    pub due: Timestamp,
    pub value: f64,
    /// A level, or "all".
    pub level: String,
    /// For this unit only, whatever its level.
    pub unit: Option<String>,
    /// It no longer holds from then on (a level that was abolished).
    pub until: Option<Timestamp>,
    /// The sentence and the document.
    pub source: String,
}

/// All indicators.
#[derive(Clone, Debug, Default)]
pub struct Indicators {
    by_code: BTreeMap<String, Indicator>,
}

impl Indicators {
    pub fn get(&self, code: &str) -> Option<&Indicator> {
        self.by_code.get(code)
    }

    /// By code.
    pub fn iter(&self) -> impl Iterator<Item = &Indicator> {
        self.by_code.values()
    }

    /// The value to hold at `at`: the last target that is due by then, else the first to come. `who`: a unit or a level; `level`: that of
    /// the unit, where it is known. Of targets by one date that of the unit goes before that of its level, and that before the one for all.
    pub fn target(&self, code: &str, who: &str, level: Option<&str>, at: Timestamp) -> Option<f64> {
        let targets = self.get(code)?.targets_of(who, level, at);
        let due = targets.iter().rev().find(|t| t.due <= at);
        due.or(targets.first()).map(|t| t.value)
    }

    /// The straight line at `at` from the baseline to the next target; `None` without a baseline, or before it.
    pub fn pace(&self, code: &str, who: &str, level: Option<&str>, at: Timestamp) -> Option<f64> {
        let indicator = self.get(code)?;
        let own = indicator.baselines.iter().find(|(unit, _)| unit.as_deref() == Some(who));
        let (_, from) = own.or_else(|| indicator.baselines.iter().find(|(unit, _)| unit.is_none()))?;
        let targets = indicator.targets_of(who, level, at);
        if at < from.at {
            return None;
        }
        let Some(next) = targets.iter().find(|t| t.due > at) else { return targets.last().map(|t| t.value) };
        let whole = (next.due - from.at).0 as f64;
        let share = if whole > 0.0 { (at - from.at).0 as f64 / whole } else { 1.0 };
        Some(from.value + (next.value - from.value) * share)
    }
}

impl Indicator {
    /// By date; of one date the nearest to `who`: its own, its level's, that for all.
    fn targets_of(&self, who: &str, level: Option<&str>, at: Timestamp) -> Vec<&Target> {
        let rank = |t: &Target| match &t.unit {
            Some(unit) => (unit == who).then_some(0),
            None if t.level == who => Some(1),
            None if Some(t.level.as_str()) == level => Some(2),
            None => (t.level == ALL).then_some(3),
        };
        let holds = self.targets.iter().filter(|t| t.until.is_none_or(|until| at <= until));
        let mut found: Vec<(Timestamp, u8, &Target)> = holds.filter_map(|t| Some((t.due, rank(t)?, t))).collect();
        found.sort_by_key(|(due, rank, _)| (*due, *rank));
        found.dedup_by_key(|(due, ..)| *due);
        found.into_iter().map(|(.., t)| t).collect()
    }

    /// Levels and units that its targets name: what `target(code, …)` may ask for by name.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.targets.iter().map(|t| t.unit.as_deref().unwrap_or(&t.level))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IndicatorsFile {
    indicators: Vec<IndicatorEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IndicatorEntry {
    code: Spanned<String>,
    name_vi: String,
    name_en: Option<String>,
    unit: Spanned<String>,
    direction: Direction,
    cadence: Spanned<String>,
    grace: Spanned<String>,
    baseline: Option<OneOrMore>,
    targets: Vec<TargetEntry>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(BaselineEntry),
    More(Vec<BaselineEntry>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BaselineEntry {
    at: String,
    value: f64,
    unit: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TargetEntry {
    by: Spanned<String>,
    level: Spanned<String>,
    unit: Option<String>,
    until: Option<Spanned<String>>,
    value: f64,
    source: Spanned<String>,
}

/// None without the file; what is wrong in it goes to `errors`.
pub(super) fn decode_indicators(files: &RegistryFiles, areas: Option<&AreaIndex>, errors: &mut Vec<FileError>) -> Indicators {
    let Some(text) = files.files.get(FILE) else { return Indicators::default() };
    let entries = match decode_yaml::<IndicatorsFile>(FILE, text) {
        Ok(file) => file.indicators,
        Err(e) => {
            errors.push(e);
            return Indicators::default();
        }
    };
    let mut levels: BTreeSet<&str> = LEVELS.into();
    levels.extend(areas.into_iter().flat_map(|areas| areas.iter()).map(|(_, area)| area.level.as_str()));
    let mut by_code = BTreeMap::new();
    for entry in entries {
        let code = entry.code.value.clone();
        let at = Place::from(entry.code.referenced);
        if by_code.contains_key(&code) {
            errors.push(FileError::new(FILE, at, format!("indicator {code} stands twice"), "remove one"));
            continue;
        }
        if let Some(indicator) = entry.check(&levels, errors) {
            by_code.insert(code, indicator);
        }
    }
    Indicators { by_code }
}

impl IndicatorEntry {
    fn check(self, levels: &BTreeSet<&str>, errors: &mut Vec<FileError>) -> Option<Indicator> {
        let before = errors.len();
        let code = self.code.value;
        let mut wrong =
            |at: Place, what: String, next: &str| errors.push(FileError::new(FILE, at, format!("indicator {code}: {what}"), next));
        if self.unit.value.is_empty() {
            wrong(place(&self.unit), "unit is empty".to_string(), "write \"%\", or what is counted");
        }
        let cadence = Every::parse(&self.cadence.value);
        if cadence.is_none() {
            wrong(place(&self.cadence), format!("cadence {:?} is no period", self.cadence.value), "write 1d, 1w, 1mo, 3mo or 12mo");
        }
        let grace = Span::parse(&self.grace.value);
        if grace.is_none() {
            wrong(place(&self.grace), format!("grace {:?} is no span", self.grace.value), "write a number and a unit: 10d");
        }
        let at = Place::from(self.code.referenced);
        let mut baselines = Vec::new();
        let entries = match self.baseline {
            None => Vec::new(),
            Some(OneOrMore::One(one)) => vec![one],
            Some(OneOrMore::More(more)) => more,
        };
        for entry in entries {
            match date_at_midnight(&entry.at) {
                Some(from) => baselines.push((entry.unit, Baseline { at: from, value: entry.value })),
                None => wrong(at, format!("baseline at {:?} is no date", entry.at), "write YYYY-MM-DD"),
            }
        }
        if self.targets.is_empty() {
            wrong(at, "no targets".to_string(), "write at least one target with by, level, value and source");
        }
        let mut targets: Vec<Target> = Vec::new();
        for target in self.targets {
            let place_of = place(&target.by);
            if !levels.contains(target.level.value.as_str()) {
                let near = suggestion(&target.level.value, levels.iter().copied());
                let next = "write all, province, district, commune or a level of areas/";
                wrong(place(&target.level), format!("level {:?} is not known{near}", target.level.value), next);
            }
            if target.source.value.trim().is_empty() {
                wrong(place(&target.source), "a target without its source".to_string(), "write the sentence and the document");
            }
            let mut end = |text: &Spanned<String>| {
                let day = Some(&text.value).filter(|t| t.len() == 10).and_then(|t| date_at_midnight(t));
                if day.is_none() {
                    wrong(place(text), format!("{:?} is no date", text.value), "write YYYY-MM-DD");
                }
                day.map(|day| day + Span::days(1))
            };
            let (due, until) = (end(&target.by), target.until.as_ref().map(&mut end));
            let Some(due) = due else { continue };
            if targets.iter().any(|t| t.due == due && t.unit == target.unit && t.level == target.level.value) {
                wrong(place_of, format!("two targets by {} for {}", target.by.value, target.level.value), "remove one");
            }
            let source = target.source.value;
            targets.push(Target { due, value: target.value, level: target.level.value, unit: target.unit, until: until.flatten(), source });
        }
        targets.sort_by(|a, b| (a.due, &a.level, &a.unit).cmp(&(b.due, &b.level, &b.unit)));
        if errors.len() > before {
            return None;
        }
        let (cadence, grace, unit) = (cadence?, grace?, self.unit.value);
        let name_en = self.name_en.unwrap_or_else(|| self.name_vi.clone());
        Some(Indicator { code, name_vi: self.name_vi, name_en, unit, direction: self.direction, cadence, grace, baselines, targets })
    }
}

fn place<T>(spanned: &Spanned<T>) -> Place {
    Place::from(spanned.referenced)
}
