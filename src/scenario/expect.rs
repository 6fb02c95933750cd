//! What a test expects: rows, alerts, verdicts; cases.rs has what it expects of cases.
//!
//! Owns: [`Expect`] and its keys, and which names it may use. Refuses to know: how it is judged.
//!
//! Invariants
//! 1. A name that the pipeline does not have is a mistake of the file, not a failing test.
//!
//! Called by: spec, judge.

use super::cases::{CaseExpect, read_case};
use super::spec::instant;
use crate::engine::{Condition, RowState};
use crate::pipeline::mistake::{Place, Report, closest, listed};
use crate::pipeline::spec::Keys;
use crate::pipeline::yaml::{Node, NodeKind, Text};
use crate::pipeline::{Pipeline, RuleHead, WindowSpec};
use crate::time::Timestamp;

pub const EXPECT_KEYS: [&str; 6] = ["rows", "no_rows", "alerts", "no_alerts", "cases", "verdicts"];
pub const ROW_KEYS: [&str; 10] = ["measurement", "key", "start", "fields", "absent", "state", "revision", "heard", "expected", "by"];
pub const NO_ROW_KEYS: [&str; 4] = ["measurement", "key", "start", "by"];
pub const ALERT_KEYS: [&str; 8] = ["alert", "key", "to", "at", "by", "reason", "retroactive", "title"];
pub const VERDICT_KEYS: [&str; 10] =
    ["read", "rejected", "unwanted", "late", "duplicate", "accepted", "conflict", "invalid_field", "partly_late", "no_key"];
pub const CONDITIONS: [(&str, Condition); 5] = [
    ("inactive", Condition::Inactive),
    ("pending", Condition::Pending),
    ("firing", Condition::Firing),
    ("no data", Condition::NoData),
    ("resolved", Condition::Resolved),
];
pub const REASONS: [&str; 3] = ["revised", "rule changed", "no data"];
pub const STATES: [RowState; 4] = [RowState::Provisional, RowState::Final, RowState::Incomplete, RowState::Withdrawn];

#[derive(Clone, PartialEq, Debug, Default)]
pub struct Expect {
    /// In the order of the file, those of `no_rows` after those of `rows`.
    pub rows: Vec<RowExpect>,
    pub alerts: Vec<AlertExpect>,
    pub no_alerts: Vec<Text>,
    pub cases: Vec<CaseExpect>,
    pub verdicts: Vec<VerdictExpect>,
}

/// The last published row of one identity; what is not said may be anything.
#[derive(Clone, PartialEq, Debug)]
pub struct RowExpect {
    pub at: Place,
    pub measurement: Text,
    /// Some of its tags, in the order of the file.
    pub key: Vec<(Text, Text)>,
    pub start: Option<Timestamp>,
    /// `None`: no such field in the row.
    pub fields: Vec<(Text, Option<f64>)>,
    pub state: Option<RowState>,
    pub revision: Option<u32>,
    pub heard: Option<u32>,
    pub expected: Option<u32>,
    /// As published up to this tick.
    pub by: Option<Timestamp>,
    /// There must be none.
    pub none: bool,
}

/// One change of an alert.
#[derive(Clone, PartialEq, Debug)]
pub struct AlertExpect {
    pub at: Place,
    pub alert: Text,
    pub key: Vec<(Text, Text)>,
    pub to: Condition,
    /// `at` of the change: event time.
    pub when: Option<Timestamp>,
    /// Tick time at which it is known at the latest.
    pub by: Option<Timestamp>,
    pub reason: Option<Text>,
    pub retroactive: Option<bool>,
    pub vi: Option<Text>,
    pub en: Option<Text>,
}

/// A count of the pipeline's verdicts (T0).
#[derive(Clone, PartialEq, Debug)]
pub struct VerdictExpect {
    pub at: Place,
    pub name: String,
    /// Of `rejected` a reason, of `partly_late` and `no_key` a measurement; `None`: all together.
    pub of: Option<String>,
    pub count: u64,
}

pub(super) fn read_expect(node: &Node, start: Timestamp, report: &mut Report) -> Option<Expect> {
    let keys = Keys::open(node, "`expect`", &EXPECT_KEYS, &[], report)?;
    if matches!(&node.kind, NodeKind::Map(entries) if entries.is_empty()) {
        report.add(node.at, "the test expects nothing: write rows, no_rows, alerts, no_alerts, cases or verdicts");
    }
    let mut rows: Vec<RowExpect> = keys.list("rows", report).iter().filter_map(|n| read_row(n, start, report)).collect();
    rows.extend(keys.list("no_rows", report).iter().filter_map(|n| read_no_row(n, start, report)));
    Some(Expect {
        rows,
        alerts: keys.list("alerts", report).iter().filter_map(|n| read_alert(n, start, report)).collect(),
        no_alerts: keys.names("no_alerts", report),
        cases: keys.list("cases", report).iter().filter_map(|n| read_case(n, start, report)).collect(),
        verdicts: keys.get("verdicts").map(|n| read_verdicts(n, report)).unwrap_or_default(),
    })
}

fn read_row(node: &Node, start: Timestamp, report: &mut Report) -> Option<RowExpect> {
    let keys = Keys::open(node, "a row", &ROW_KEYS, &[], report)?;
    let fields = keys.get("fields").map(|n| read_fields(n, report)).unwrap_or_default();
    let absent = keys.names("absent", report).into_iter().map(|name| (name, None));
    let measurement = keys.required("measurement", "the row has no measurement: write `measurement:` and one of the pipeline's", report);
    Some(RowExpect {
        at: node.at,
        key: keys.entries("key", "`key` is a mapping of tags to values, as in `{source: T1}`", report),
        start: instant(&keys, "start", start, report),
        fields: fields.into_iter().chain(absent).collect(),
        state: keys.text("state", report).and_then(|text| {
            let state = STATES.into_iter().find(|s| s.name() == text.value);
            if state.is_none() {
                let names = STATES.map(RowState::name);
                report.suggest(text.at, format!("`{}` is no state: write {}", text.value, listed(names)), closest(&text.value, names));
            }
            state
        }),
        revision: whole(&keys, "revision", report),
        heard: whole(&keys, "heard", report),
        expected: whole(&keys, "expected", report),
        by: instant(&keys, "by", start, report),
        none: false,
        measurement: measurement?,
    })
}

fn read_no_row(node: &Node, start: Timestamp, report: &mut Report) -> Option<RowExpect> {
    let keys = Keys::open(node, "an entry of `no_rows`", &NO_ROW_KEYS, &[], report)?;
    let measurement = keys.required("measurement", "the entry has no measurement: write `measurement:` and one of the pipeline's", report);
    Some(RowExpect {
        at: node.at,
        key: keys.entries("key", "`key` is a mapping of tags to values, as in `{source: T1}`", report),
        start: instant(&keys, "start", start, report),
        fields: Vec::new(),
        state: None,
        revision: None,
        heard: None,
        expected: None,
        by: instant(&keys, "by", start, report),
        none: true,
        measurement: measurement?,
    })
}

fn read_fields(node: &Node, report: &mut Report) -> Vec<(Text, Option<f64>)> {
    let NodeKind::Map(entries) = &node.kind else {
        report.add(node.at, format!("`fields` is a mapping of names to numbers, not {}", node.describe()));
        return Vec::new();
    };
    let mut fields = Vec::new();
    for (name, node) in entries {
        match &node.kind {
            NodeKind::Null => fields.push((name.clone(), None)),
            NodeKind::Scalar(text) => match text.value.parse::<f64>().ok().filter(|x| x.is_finite()) {
                Some(number) => fields.push((name.clone(), Some(number))),
                None => report.add(text.at, format!("`{}` is no number; null means that the row has no such field", text.value)),
            },
            _ => report.add(node.at, format!("`{}` is a number or null, not {}", name.value, node.describe())),
        }
    }
    fields
}

fn whole<N: std::str::FromStr>(keys: &Keys<'_>, key: &str, report: &mut Report) -> Option<N> {
    let text = keys.text(key, report)?;
    let number = text.value.parse().ok();
    if number.is_none() {
        report.add(text.at, format!("`{key}` is a whole number, not `{}`", text.value));
    }
    number
}

fn read_alert(node: &Node, start: Timestamp, report: &mut Report) -> Option<AlertExpect> {
    let keys = Keys::open(node, "an alert", &ALERT_KEYS, &[], report)?;
    let to = keys.text("to", report).map_or(Some(Condition::Firing), |text| {
        let found = CONDITIONS.into_iter().find(|(name, _)| *name == text.value);
        if found.is_none() {
            let names = CONDITIONS.map(|(name, _)| name);
            report.suggest(text.at, format!("`{}` is no condition: write {}", text.value, listed(names)), closest(&text.value, names));
        }
        found.map(|(_, to)| to)
    });
    let reason = keys.text("reason", report);
    if let Some(reason) = reason.as_ref().filter(|r| !REASONS.contains(&r.value.as_str())) {
        report.suggest(reason.at, format!("`{}` is no reason: write {}", reason.value, listed(REASONS)), closest(&reason.value, REASONS));
    }
    let retroactive = keys.get("retroactive").map(|_| keys.flag("retroactive", report));
    let title = keys.get("title").and_then(|n| Keys::open(n, "a title", &["vi", "en"], &[], report));
    Some(AlertExpect {
        at: node.at,
        key: keys.entries("key", "`key` is a mapping of tags to values, as in `{source: T1}`", report),
        when: instant(&keys, "at", start, report),
        by: instant(&keys, "by", start, report),
        reason,
        retroactive,
        vi: title.as_ref().and_then(|t| t.text("vi", report)),
        en: title.as_ref().and_then(|t| t.text("en", report)),
        alert: keys.required("alert", "the entry names no alert: write `alert:` and one of the pipeline's", report)?,
        to: to?,
    })
}

fn read_verdicts(node: &Node, report: &mut Report) -> Vec<VerdictExpect> {
    let Some(keys) = Keys::open(node, "`verdicts`", &VERDICT_KEYS, &[], report) else { return Vec::new() };
    let mut out = Vec::new();
    for name in VERDICT_KEYS {
        let divided = matches!(name, "rejected" | "partly_late" | "no_key");
        match keys.get(name) {
            Some(Node { kind: NodeKind::Map(_), at }) if divided => {
                for (of, count) in keys.entries(name, "counts by name", report) {
                    match count.value.parse() {
                        Ok(count) => out.push(VerdictExpect { at: of.at, name: name.to_owned(), of: Some(of.value), count }),
                        Err(_) => report.add(*at, format!("`{}` is a whole number, not `{}`", of.value, count.value)),
                    }
                }
            }
            Some(node) => {
                if let Some(count) = whole(&keys, name, report) {
                    out.push(VerdictExpect { at: node.at, name: name.to_owned(), of: None, count });
                }
            }
            None => {}
        }
    }
    out
}

impl Expect {
    /// Reports the names that the pipeline does not have.
    pub(super) fn check(&self, pipeline: &Pipeline, report: &mut Report) {
        for row in &self.rows {
            let names = pipeline.windows.iter().map(|w| w.measurement.as_str());
            match pipeline.windows.iter().find(|w| w.measurement == row.measurement.value) {
                Some(window) => check_row(row, window, report),
                None => {
                    let text = &row.measurement;
                    report.suggest(text.at, format!("the pipeline has no measurement `{}`", text.value), closest(&text.value, names))
                }
            }
        }
        self.cases.iter().for_each(|case| case.check(pipeline, report));
        let named = self.alerts.iter().map(|a| &a.alert).chain(&self.no_alerts);
        for text in named.filter(|text| rule_of(pipeline, &text.value).is_none()) {
            let names = pipeline.heads().map(|head| head.name);
            report.suggest(text.at, format!("the pipeline has no alert `{}`", text.value), closest(&text.value, names));
        }
        for alert in &self.alerts {
            let Some(rule) = rule_of(pipeline, &alert.alert.value) else { continue };
            check_names(alert.key.iter().map(|(name, _)| name), &key_names(rule), "the alert's key has no tag", report);
        }
    }
}

fn rule_of<'p>(pipeline: &'p Pipeline, name: &str) -> Option<RuleHead<'p>> {
    pipeline.heads().find(|head| head.name == name)
}

/// The tags of a rule's alerts.
pub(super) fn key_names(rule: RuleHead<'_>) -> Vec<&str> {
    rule.tags()
}

fn check_row(row: &RowExpect, window: &WindowSpec, report: &mut Report) {
    let tags: Vec<&str> = window.tags.iter().map(String::as_str).collect();
    check_names(row.key.iter().map(|(name, _)| name), &tags, "the measurement has no tag", report);
    let fields: Vec<&str> = window.fields.iter().map(|f| f.name.as_str()).collect();
    check_names(row.fields.iter().map(|(name, _)| name), &fields, "the measurement has no field", report);
}

fn check_names<'t>(given: impl Iterator<Item = &'t Text>, known: &[&str], what: &str, report: &mut Report) {
    for name in given.filter(|n| !known.contains(&n.value.as_str())) {
        let near = closest(&name.value, known.iter().copied());
        let has = if near.is_some() { String::new() } else { format!(": it has {}", listed(known.iter().copied())) };
        report.suggest(name.at, format!("{what} `{}`{has}", name.value), near);
    }
}
