//! `{alert, absent: TYPE, after: 3 * cadence, …}` as typed values.
//!
//! Owns: the keys of alerts on absent sources. Refuses to know: which sources there are, what the title may name.
//!
//! Invariants: those of spec.rs.
//!
//! Called by: spec.

use super::{Keys, read_severity, read_title};
use crate::pipeline::mistake::{Place, Report};
use crate::pipeline::yaml::{Node, NodeKind, Text};
use crate::pipeline::{After, Severity};
use crate::time::Span;

#[derive(Debug)]
pub struct AbsenceYaml {
    pub at: Place,
    pub alert: Option<Text>,
    pub absent: Option<Text>,
    pub after: Option<After>,
    pub severity: Option<Severity>,
    pub vi: Option<Text>,
    pub en: Option<Text>,
    pub sop: Option<Text>,
}

const KEYS: [&str; 6] = ["alert", "absent", "after", "severity", "title", "sop"];
const AFTER: &str = "write `after: 3 * cadence`, `after: 1 * cadence + 10d` or a span, as in `after: 15m`";

pub fn is_absence(node: &Node) -> bool {
    matches!(&node.kind, NodeKind::Map(entries) if entries.iter().any(|(key, _)| key.value == "absent"))
}

pub fn read_absence(node: &Node, report: &mut Report) -> Option<AbsenceYaml> {
    let keys = Keys::open(node, "an alert on absent sources", &KEYS, &[], report)?;
    let severity = keys.required("severity", "the alert has no severity: write critical, major, minor or notice", report);
    let (vi, en) = read_title(&keys, node, report);
    let after = keys.required("after", &format!("the alert does not say after how long: {AFTER}"), report);
    let after = after.and_then(|text| {
        let after = read_after(&text.value);
        if after.is_none() {
            report.add(text.at, format!("`{}` is no time to wait: {AFTER}", text.value));
        }
        after
    });
    Some(AbsenceYaml {
        at: node.at,
        alert: keys.required("alert", "the alert has no name: write `alert: name`", report),
        absent: keys.text("absent", report),
        after,
        severity: severity.and_then(|text| read_severity(&text, report)),
        vi,
        en,
        sop: keys.text("sop", report),
    })
}

/// "15m", "cadence", "3 * cadence", "1 * cadence + 10d"; longer than zero.
fn read_after(text: &str) -> Option<After> {
    let span = |text: &str| Span::parse(text.trim()).filter(|span| *span > Span::ZERO);
    if let Some(plus) = span(text) {
        return Some(After { cadences: 0, plus });
    }
    let (cadences, plus) = match text.split_once('+') {
        Some((cadences, plus)) => (cadences, span(plus)?),
        None => (text, Span::ZERO),
    };
    let cadences = match cadences.trim().split_once('*') {
        Some((times, cadence)) if cadence.trim() == "cadence" => times.trim().parse().ok().filter(|n| (1..=1000).contains(n))?,
        None if cadences.trim() == "cadence" => 1,
        _ => return None,
    };
    Some(After { cadences, plus })
}
