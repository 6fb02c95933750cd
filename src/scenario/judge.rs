//! What came against what was expected.
//!
//! Owns: [`Outcome`], [`Failure`], and what counts as met. Refuses to know: how the trace came about.
//!
//! Invariants
//! 1. A row is met by the last one published of its identity (up to `by`); what is not said may be anything.
//! 2. Alerts are met in their order: each by the first change after that which met the one before. An alert whose firing is listed does
//!    not fire more often than it is listed.
//! 3. Numbers are equal within 1e-9 of their size.
//!
//! Called by: cli, tests.

use super::expect::{AlertExpect, RowExpect, VerdictExpect};
use super::moment::since;
use super::run::{Change, Trace, run};
use super::spec::{ScenarioFile, Test};
use super::told::{alert_text, change_line, condition, field, key_text, reason_name, row_line, value};
use crate::engine::counts::PartCounts;
use crate::engine::setup::Setup;
use crate::engine::{Condition, FieldValue, Row};
use crate::pipeline::Pipeline;
use crate::pipeline::mistake::Place;
use crate::pipeline::yaml::Text;
use crate::time::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Lines that a difference shows at most.
const MOST_LINES: usize = 12;

/// What became of one test.
#[derive(Clone, PartialEq, Debug)]
pub struct Outcome {
    pub name: String,
    pub at: Place,
    pub failures: Vec<Failure>,
    pub events: usize,
    pub ticks: u64,
}

/// One expectation that was not met.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    pub at: Place,
    /// What was expected and what differs.
    pub what: String,
    /// What came, nearest first; a line each.
    pub came: Vec<String>,
}

impl ScenarioFile {
    /// Runs every test, in the order of the file. The setup's first pipeline is the one that the file names.
    pub fn run(&self, setup: &Arc<Setup>) -> Vec<Outcome> {
        self.tests.iter().map(|test| self.run_test(test, setup)).collect()
    }

    fn run_test(&self, test: &Test, setup: &Arc<Setup>) -> Outcome {
        let trace = run(self, test, setup);
        let judge = Judge { pipeline: &setup.pipelines[0], trace: &trace, start: self.start };
        let mut failures = Vec::new();
        if trace.cut_off {
            let what = format!("the timeline has no end after {} ticks: give `until`", trace.ticks);
            failures.push(Failure { at: test.at, what, came: Vec::new() });
        }
        failures.extend(test.expect.rows.iter().filter_map(|row| judge.row(row)));
        failures.extend(judge.alerts(&test.expect.alerts));
        failures.extend(test.expect.no_alerts.iter().filter_map(|name| judge.no_alert(name)));
        failures.extend(test.expect.cases.iter().filter_map(|case| case.judge(&trace.lane, self.start, trace.end)));
        failures.extend(test.expect.verdicts.iter().filter_map(|verdict| judge.verdict(verdict)));
        Outcome { name: test.name.clone(), at: test.at, failures, events: test.given.len(), ticks: trace.ticks }
    }
}

struct Judge<'a> {
    pipeline: &'a Pipeline,
    trace: &'a Trace,
    start: Timestamp,
}

impl Judge<'_> {
    fn row(&self, expected: &RowExpect) -> Option<Failure> {
        let until = expected.by.unwrap_or(Timestamp::MAX);
        let window = self.pipeline.windows.iter().position(|w| w.measurement == expected.measurement.value)?;
        // the last published of each identity
        let mut last: BTreeMap<(Timestamp, &[Box<str>]), &Row> = BTreeMap::new();
        for (_, row) in self.trace.rows.iter().filter(|(tick, row)| *tick <= until && row.window as usize == window) {
            last.insert((row.start, &row.key.tags), row);
        }
        let found: Vec<&Row> = last.values().copied().filter(|row| self.is_meant(expected, row)).collect();
        let lines = |rows: &[&Row]| rows.iter().take(MOST_LINES).map(|row| row_line(row, self.pipeline, self.start)).collect();
        let fail = |what: String, rows: &[&Row]| {
            Some(Failure { at: expected.at, what: format!("{}: {what}", self.row_text(expected)), came: lines(rows) })
        };
        match found.as_slice() {
            [] if expected.none => None,
            rows if expected.none => fail("there is one".into(), rows),
            [] => {
                let mut near: Vec<&Row> = last.values().copied().collect();
                near.sort_by_key(|row| (expected.start.map(|s| (row.start - s).0.unsigned_abs()), !self.has_key(expected, row)));
                let what = if near.is_empty() { "no row of this measurement came" } else { "no such row" };
                fail(what.into(), &near)
            }
            [row] => match self.differences(expected, row).as_slice() {
                [] => None,
                all => fail(all.join("; "), &[row]),
            },
            rows => fail(format!("{} rows are meant: name one by `key` and `start`", rows.len()), rows),
        }
    }

    fn is_meant(&self, expected: &RowExpect, row: &Row) -> bool {
        expected.start.is_none_or(|start| row.start == start) && self.has_key(expected, row)
    }

    fn has_key(&self, expected: &RowExpect, row: &Row) -> bool {
        has_tags(&expected.key, &self.pipeline.windows[row.window as usize].tags, &row.key.tags)
    }

    fn row_text(&self, expected: &RowExpect) -> String {
        let tags = expected.key.iter().map(|(name, value)| (name.value.as_str(), value.value.as_str()));
        let start = expected.start.map_or_else(String::new, |s| format!(" {}", since(s, self.start)));
        format!("{}row {} {}{start}", if expected.none { "no " } else { "" }, expected.measurement.value, key_text(tags))
    }

    fn differences(&self, expected: &RowExpect, row: &Row) -> Vec<String> {
        let window = &self.pipeline.windows[row.window as usize];
        let mut out = Vec::new();
        for (name, wanted) in &expected.fields {
            let came = field(row, window, &name.value);
            match wanted {
                None if came != FieldValue::Absent => out.push(format!("{} is {}, not absent", name.value, value(came))),
                Some(wanted) if !came.number().is_some_and(|x| equal(x, *wanted)) => {
                    out.push(format!("{} is {}, not {wanted}", name.value, value(came)))
                }
                _ => {}
            }
        }
        if let Some(state) = expected.state.filter(|s| *s != row.state) {
            out.push(format!("the state is {}, not {}", row.state.name(), state.name()));
        }
        let counts = [("revision", expected.revision, Some(row.revision)), ("heard", expected.heard, row.heard)];
        for (name, wanted, came) in counts.into_iter().chain([("expected", expected.expected, row.expected)]) {
            if let Some(wanted) = wanted.filter(|w| Some(*w) != came) {
                let came = came.map_or_else(|| "unknown".to_owned(), |n| n.to_string());
                out.push(format!("{name} is {came}, not {wanted}"));
            }
        }
        out
    }

    fn alerts(&self, expected: &[AlertExpect]) -> Vec<Failure> {
        let mut failures = Vec::new();
        let mut from = 0;
        for alert in expected {
            let after = &self.trace.changes[from..];
            match after.iter().position(|c| self.differs(alert, c).is_empty()) {
                Some(n) => from += n + 1,
                None => failures.push(self.missed(alert, from)),
            }
        }
        let listed = |name: &str| expected.iter().filter(|a| a.alert.value == name && a.to == Condition::Firing).count();
        let mut judged: Vec<&str> = Vec::new();
        for alert in expected.iter().filter(|a| a.to == Condition::Firing) {
            let name = alert.alert.value.as_str();
            let fired: Vec<&Change> = self.fired(name).collect();
            if judged.contains(&name) || fired.len() <= listed(name) {
                continue;
            }
            judged.push(name);
            let what = format!("alert {name} fires {} times, {} listed", fired.len(), listed(name));
            failures.push(Failure { at: alert.at, what, came: self.lines(&fired) });
        }
        failures
    }

    /// An alert begins to fire; one that had no data for a while does not begin anew.
    fn fired<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'s Change> {
        let begins = |c: &&Change| c.change.to == Condition::Firing && c.change.from != Condition::NoData;
        self.trace.changes.iter().filter(begins).filter(move |c| self.name(c) == Some(name))
    }

    fn name(&self, change: &Change) -> Option<&str> {
        self.pipeline.head(change.change.rule).map(|head| head.name)
    }

    fn lines(&self, changes: &[&Change]) -> Vec<String> {
        let mut lines: Vec<String> = changes.iter().take(MOST_LINES).map(|c| change_line(c, self.pipeline, self.start)).collect();
        if changes.len() > MOST_LINES {
            lines.push(format!("and {} more", changes.len() - MOST_LINES));
        }
        lines
    }

    fn missed(&self, alert: &AlertExpect, from: usize) -> Failure {
        let name = alert.alert.value.as_str();
        let own: Vec<&Change> = self.trace.changes.iter().filter(|c| self.name(c) == Some(name)).collect();
        // the change that differs least, told first
        let near = self.trace.changes[from..].iter().filter(|c| self.name(c) == Some(name) && c.change.to == alert.to);
        let near = near.map(|c| self.differs(alert, c)).min_by_key(Vec::len);
        let earlier = self.trace.changes[..from].iter().any(|c| self.differs(alert, c).is_empty());
        let why = match (near, own.is_empty()) {
            _ if earlier => "it comes before the one listed above it".to_owned(),
            (_, true) => "this alert never changed".to_owned(),
            (Some(differences), _) => differences.join("; "),
            (None, _) => format!("it never becomes {} here", condition(alert.to)),
        };
        Failure { at: alert.at, what: format!("{}: {why}", self.alert_expectation(alert)), came: self.lines(&own) }
    }

    fn alert_expectation(&self, alert: &AlertExpect) -> String {
        let tags = alert.key.iter().map(|(name, value)| (name.value.as_str(), value.value.as_str()));
        let when = alert.when.map_or_else(String::new, |at| format!(" at {}", since(at, self.start)));
        format!("alert {} {} → {}{when}", alert.alert.value, key_text(tags), condition(alert.to))
    }

    /// In what a change is not the expected one; empty: it is.
    fn differs(&self, alert: &AlertExpect, change: &Change) -> Vec<String> {
        let c = &change.change;
        let Some(rule) = self.pipeline.head(c.rule).filter(|r| r.name == alert.alert.value) else {
            return vec!["another alert".into()];
        };
        let mut out = Vec::new();
        let names: Vec<String> = super::expect::key_names(rule).into_iter().map(str::to_owned).collect();
        if !has_tags(&alert.key, &names, &c.key.tags) {
            out.push(format!("it is {}", alert_text(change, self.pipeline)));
        }
        if c.to != alert.to {
            out.push(format!("it becomes {}", condition(c.to)));
        }
        if let Some(at) = alert.when.filter(|at| *at != c.at) {
            out.push(format!("it is at {}, not {}", since(c.at, self.start), since(at, self.start)));
        }
        if let Some(by) = alert.by.filter(|by| change.tick > *by) {
            out.push(format!("it is known at {}, not by {}", since(change.tick, self.start), since(by, self.start)));
        }
        let reason = c.reason.map(reason_name);
        if let Some(wanted) = alert.reason.as_ref().filter(|r| Some(r.value.as_str()) != reason) {
            out.push(format!("the reason is {}, not {}", reason.unwrap_or("none"), wanted.value));
        }
        if alert.retroactive.is_some_and(|r| r != c.retroactive) {
            out.push(format!("it is {}retroactive", if c.retroactive { "" } else { "not " }));
        }
        let title = change.title.as_ref();
        for (wanted, came) in [(&alert.vi, title.map(|t| t.vi.as_str())), (&alert.en, title.map(|t| t.en.as_str()))] {
            if let Some(wanted) = wanted.as_ref().filter(|w| Some(w.value.as_str()) != came) {
                out.push(format!("the title is \"{}\", not \"{}\"", came.unwrap_or_default(), wanted.value));
            }
        }
        out
    }

    fn no_alert(&self, name: &Text) -> Option<Failure> {
        let fired: Vec<&Change> = self.fired(&name.value).collect();
        let what = format!("alert {} must not fire: it does", name.value);
        (!fired.is_empty()).then(|| Failure { at: name.at, what, came: self.lines(&fired) })
    }

    fn verdict(&self, expected: &VerdictExpect) -> Option<Failure> {
        let counts = &self.trace.counts;
        let came = self.count(counts, &expected.name, expected.of.as_deref());
        if came == expected.count {
            return None;
        }
        let of = expected.of.as_ref().map_or_else(String::new, |of| format!(" {of}"));
        let what = format!("{}{of}: {came}, not {}", expected.name, expected.count);
        Some(Failure { at: expected.at, what, came: vec![verdict_line(counts)] })
    }

    fn count(&self, counts: &PartCounts, name: &str, of: Option<&str>) -> u64 {
        let named = |numbers: &[u64]| -> u64 {
            let all = self.pipeline.windows.iter().zip(numbers);
            all.filter(|(w, _)| of.is_none_or(|of| of == w.measurement)).map(|(_, n)| n).sum()
        };
        // "schema" means every "schema.…"
        let reason = |code: &str| of.is_none_or(|of| code == of || code.strip_prefix(of).is_some_and(|rest| rest.starts_with('.')));
        match name {
            "read" => counts.read,
            "rejected" => counts.rejected.iter().filter(|(code, _)| reason(code)).map(|(_, n)| n).sum(),
            "unwanted" => counts.unwanted,
            "late" => counts.late,
            "duplicate" => counts.duplicate,
            "accepted" => counts.accepted,
            "conflict" => counts.conflict,
            "invalid_field" => counts.invalid_field,
            "partly_late" => named(&counts.partly_late),
            _ => named(&counts.no_key),
        }
    }
}

fn has_tags(wanted: &[(Text, Text)], names: &[String], tags: &[Box<str>]) -> bool {
    wanted.iter().all(|(name, value)| names.iter().zip(tags).any(|(n, tag)| *n == name.value && **tag == *value.value))
}

fn equal(a: f64, b: f64) -> bool {
    a == b || (a - b).abs() <= 1e-9 * a.abs().max(b.abs())
}

fn verdict_line(counts: &PartCounts) -> String {
    let mut line = format!("read {}: accepted {}, late {}", counts.read, counts.accepted, counts.late);
    line.push_str(&format!(", duplicate {}, unwanted {}, rejected {}", counts.duplicate, counts.unwanted, counts.rejected_total()));
    let reasons: Vec<String> = counts.rejected.iter().map(|(code, n)| format!("{code} {n}")).collect();
    if reasons.is_empty() { line } else { format!("{line} ({})", reasons.join(", ")) }
}
