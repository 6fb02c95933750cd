//! Alerts held against the ground truth: found, missed, false, delay by kind; counts.
//!
//! Owns: what counts as found, false and passed. Refuses to know: files, how alerts came about.
//!
//! Invariants
//! 1. A fault is found when each of its marks is met by a firing of one of the mark's rules on its sources or area in its time.
//! 2. A firing of a rule of P1 to P4, or of `report_cluster`, that no fault explains is false.
//! 3. The result does not depend on the order of alerts.
//!
//! Called by: cli, tests.

use super::FaultKind;
use super::truth::{Fault, Truth};
use crate::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Rules whose false alerts are counted: those of P1 to P4 and `report_cluster`.
const WATCHED: [&str; 13] = [
    "queue_long",
    "flow_stopped",
    "detector_silent",
    "flood_bd1",
    "flood_bd2",
    "flood_bd3",
    "water_rising",
    "rain_heavy",
    "gauge_silent",
    "pm25_bad",
    "pm25_very_bad",
    "service_errors",
    "area_dark",
];
const WATCHED_TOO: [&str; 2] = ["feed_overdue", "report_cluster"];
/// Kinds that must all be found by rules.
const FOUND_BY_RULE: [FaultKind; 4] = [FaultKind::Flood, FaultKind::Block, FaultKind::Gateway, FaultKind::Cluster];
/// False alerts a day.
pub const MOST_FALSE: f64 = 6.0;

/// One line of `alerts.ndjson`, as far as it matters here.
#[derive(Clone, PartialEq, Debug, Deserialize)]
pub struct Change {
    pub alert: String,
    pub at: String,
    pub to: String,
    pub key: BTreeMap<String, String>,
}

/// `summary.json` of a file run, as far as it matters here.
#[derive(Clone, PartialEq, Debug, Deserialize)]
pub struct Summary {
    pub pipelines: BTreeMap<String, PipelineCounts>,
}

#[derive(Clone, PartialEq, Debug, Deserialize)]
pub struct PipelineCounts {
    pub read: u64,
    pub rejected: BTreeMap<String, u64>,
    pub late: u64,
    pub duplicate: u64,
}

#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct KindScore {
    pub faults: usize,
    pub found: usize,
    /// Marks that no alert met.
    pub missed: Vec<String>,
    /// Seconds from a mark's beginning to the alert that met it.
    pub delays_s: Vec<i64>,
}

#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Count {
    pub what: String,
    pub expected: u64,
    pub counted: u64,
}

#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Score {
    pub days: f64,
    pub kinds: BTreeMap<FaultKind, KindScore>,
    /// What fired without a reason: rule, key, time.
    pub false_alerts: Vec<String>,
    /// Alerts on cases and indicators, as they should be.
    pub expected: usize,
    pub missing: Vec<String>,
    pub unexpected: Vec<String>,
    pub counts: Vec<Count>,
    pub passed: bool,
}

struct Firing<'a> {
    alert: &'a str,
    at: Timestamp,
    key: &'a BTreeMap<String, String>,
}

impl Firing<'_> {
    fn tag(&self, name: &str) -> Option<&str> {
        self.key.get(name).map(String::as_str)
    }

    /// On the fault's sources, or, for what has no source, on its area and category.
    fn on(&self, fault: &Fault) -> bool {
        let has = |list: &[String], value: &str| list.iter().any(|s| s == value);
        match self.tag("source") {
            Some(source) => has(&fault.sources, source) || has(&fault.upstream, source),
            None => {
                self.tag("area") == Some(&fault.area)
                    && (fault.category.is_empty() || self.tag("category").is_none_or(|category| category == fault.category))
            }
        }
    }

    fn text(&self) -> String {
        let key: Vec<String> = self.key.iter().map(|(k, v)| format!("{k}={v}")).collect();
        format!("{} {} at {}", self.alert, key.join(" "), self.at)
    }
}

/// `froms`: by pipeline, the event types that it reads.
pub fn score(truth: &Truth, changes: &[Change], summary: Option<&Summary>, froms: &BTreeMap<String, Vec<String>>) -> Score {
    let firings: Vec<Firing<'_>> = changes
        .iter()
        .filter(|c| c.to == "firing")
        .filter_map(|c| Some(Firing { alert: &c.alert, at: Timestamp::parse_rfc3339(c.at.as_bytes())?, key: &c.key }))
        .collect();
    let mut kinds: BTreeMap<FaultKind, KindScore> = FOUND_BY_RULE.map(|kind| (kind, KindScore::default())).into();
    for fault in truth.faults.iter().filter(|f| !f.marks.is_empty()) {
        judge(fault, &firings, kinds.entry(fault.kind).or_default());
    }
    let watched = |alert: &str| WATCHED.contains(&alert) || WATCHED_TOO.contains(&alert);
    let explained = |firing: &Firing<'_>| {
        truth.faults.iter().any(|f| {
            f.explains.iter().any(|a| a == firing.alert) && f.explains_from <= firing.at && firing.at <= f.explains_to && firing.on(f)
        })
    };
    let mut false_alerts: Vec<String> = firings.iter().filter(|f| watched(f.alert) && !explained(f)).map(Firing::text).collect();
    false_alerts.sort();
    let (missing, unexpected) = compare(truth, &firings);
    let counts = summary.map_or_else(Vec::new, |summary| counts(truth, summary, froms));
    let days = (truth.to - truth.from).0 as f64 / Span::days(1).0 as f64;
    let passed = kinds.values().all(|k| k.missed.is_empty())
        && false_alerts.len() as f64 <= (MOST_FALSE * days).max(1.0)
        && missing.is_empty()
        && unexpected.is_empty()
        && counts.iter().all(|c| c.expected == c.counted);
    Score { days, kinds, false_alerts, expected: truth.expected.len(), missing, unexpected, counts, passed }
}

fn judge(fault: &Fault, firings: &[Firing<'_>], score: &mut KindScore) {
    score.faults += 1;
    let mut all = true;
    for mark in &fault.marks {
        // a row's end may lie a little before the instant that was computed
        let least = mark.since - Span::minutes(15);
        let met = firings.iter().filter(|f| mark.alerts.iter().any(|a| a == f.alert) && f.on(fault));
        match met.map(|f| f.at).filter(|at| least <= *at && *at <= fault.explains_to).min() {
            Some(at) => score.delays_s.push((at - mark.since).0 / Span::seconds(1).0),
            None => {
                all = false;
                let place = fault.sources.first().map_or(fault.area.as_str(), String::as_str);
                score.missed.push(format!("{} at {place} since {}", mark.alerts.join(" or "), mark.since));
            }
        }
    }
    score.found += usize::from(all);
    score.delays_s.sort_unstable();
}

/// What should have come and did not; what came and should not have.
fn compare(truth: &Truth, firings: &[Firing<'_>]) -> (Vec<String>, Vec<String>) {
    let mut open: BTreeMap<(&str, &str), Vec<&super::truth::Expected>> = BTreeMap::new();
    for expected in &truth.expected {
        open.entry((&expected.alert, &expected.value)).or_default().push(expected);
    }
    let tags: BTreeMap<&str, &str> = truth.expected.iter().map(|e| (e.alert.as_str(), e.tag.as_str())).collect();
    let mut unexpected = Vec::new();
    for firing in firings.iter().filter(|f| truth.expected_rules.contains(f.alert)) {
        let value = tags.get(firing.alert).and_then(|tag| firing.tag(tag)).unwrap_or_default();
        let waiting = open.get_mut(&(firing.alert, value));
        if waiting.is_none_or(|w| w.pop().is_none()) {
            unexpected.push(firing.text());
        }
    }
    let missing = open.into_values().flatten().filter(|e| !e.edge);
    let mut missing: Vec<String> = missing.map(|e| format!("{} {}={} at {}", e.alert, e.tag, e.value, e.at)).collect();
    missing.sort();
    unexpected.sort();
    (missing, unexpected)
}

fn counts(truth: &Truth, summary: &Summary, froms: &BTreeMap<String, Vec<String>>) -> Vec<Count> {
    let mut out = Vec::new();
    let mut add = |what: String, expected: u64, counted: u64| out.push(Count { what, expected, counted });
    // what is rejected is so for every pipeline alike: one says it all
    if let Some(any) = summary.pipelines.values().next() {
        add("records read".to_owned(), truth.counts.records, any.read);
        let rejected = |reason: &str| any.rejected.iter().filter(|(code, _)| code.split('.').next() == Some(reason)).map(|(_, n)| n).sum();
        for reason in ["bytes", "envelope", "schema"] {
            add(format!("malformed: {reason}"), truth.counts.malformed.get(reason).copied().unwrap_or(0), rejected(reason));
        }
        add("fast clock: time".to_owned(), truth.counts.clock.values().sum(), rejected("time"));
    }
    for (pipeline, types) in froms {
        let Some(counted) = summary.pipelines.get(pipeline) else { continue };
        let of = |by_type: &BTreeMap<String, u64>| types.iter().filter_map(|t| by_type.get(t)).sum();
        add(format!("doubled: {pipeline}"), of(&truth.counts.doubled), counted.duplicate);
        add(format!("late: {pipeline}"), of(&truth.counts.late_types), counted.late);
    }
    out
}

impl Score {
    /// For people.
    pub fn table(&self) -> String {
        let mut out = String::new();
        let _ = writeln!(out, "{:<10}{:>7}{:>7}{:>7}  delay, least to most", "", "faults", "found", "missed");
        for (kind, score) in &self.kinds {
            let delay = match (score.delays_s.first(), score.delays_s.last()) {
                (Some(least), Some(most)) => format!("{} to {}", Span::seconds(*least), Span::seconds(*most)),
                _ => "-".to_owned(),
            };
            let _ = writeln!(out, "{:<10}{:>7}{:>7}{:>7}  {delay}", kind.name(), score.faults, score.found, score.faults - score.found);
        }
        let bound = (MOST_FALSE * self.days).max(1.0);
        let _ = writeln!(out, "\nfalse alerts: {} in {:.2} d (at most {bound:.0})", self.false_alerts.len(), self.days);
        let same = self.expected - self.missing.len().min(self.expected);
        let _ = writeln!(
            out,
            "alerts on cases and indicators: {} as expected of {}, {} missing, {} unexpected",
            same,
            self.expected,
            self.missing.len(),
            self.unexpected.len()
        );
        for count in &self.counts {
            let verdict = if count.expected == count.counted { "" } else { "  DIFFERS" };
            let _ = writeln!(out, "{:<40}{:>10} of {:>10}{verdict}", count.what, count.counted, count.expected);
        }
        let missed: Vec<&String> = self.kinds.values().flat_map(|k| &k.missed).collect();
        for (title, lines) in [
            ("missed", missed),
            ("false", self.false_alerts.iter().collect()),
            ("missing", self.missing.iter().collect()),
            ("unexpected", self.unexpected.iter().collect()),
        ] {
            for line in lines.iter().take(SHOWN) {
                let _ = writeln!(out, "  {title}: {line}");
            }
            if lines.len() > SHOWN {
                let _ = writeln!(out, "  {title}: and {} more (--json shows all)", lines.len() - SHOWN);
            }
        }
        let _ = writeln!(out, "\n{}", if self.passed { "passed" } else { "NOT passed" });
        out
    }
}

/// Lines of one kind in the table.
const SHOWN: usize = 20;
