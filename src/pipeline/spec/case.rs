//! `cases:` and alerts on cases as typed values with their places.
//!
//! Owns: the keys of both. Refuses to know: what expressions and names mean (compile/case.rs).
//!
//! Invariants: those of spec.rs.
//!
//! Called by: spec.

use super::Keys;
use crate::pipeline::mistake::{Place, Report};
use crate::pipeline::yaml::{Node, NodeKind, Text};
use crate::time::Span;
use crate::time::working::Length;

#[derive(Debug)]
pub struct CaseYaml {
    pub at: Place,
    pub case: Option<Text>,
    pub subject: Option<Text>,
    pub state: Option<Text>,
    pub open: Vec<Text>,
    pub closed: Vec<Text>,
    pub created: Option<Text>,
    pub due: Option<Text>,
    pub sla: Option<Text>,
    pub due_soon: Option<(Place, Length)>,
    pub keep: Span,
    pub from: Vec<Text>,
    pub filter: Option<Text>,
}

/// What an alert on a case has besides `when`, severity and title.
#[derive(Debug)]
pub struct CaseAlertYaml {
    pub case: Text,
    pub state: Option<Text>,
    pub hold: Length,
}

const CASE_KEYS: [&str; 12] = ["case", "subject", "state", "open", "closed", "created", "due", "sla", "due_soon", "keep", "from", "where"];
/// Keys of alerts on cases.
pub(super) const CASE_ALERT_KEYS: [&str; 8] = ["alert", "case", "in", "when", "for", "severity", "title", "sop"];
/// Keys of alerts on rows that [`read_case_alert`] refuses in its own words.
pub(super) const ONLY_ON_ROWS: [(&str, &str); 4] = [("on", ""), ("until", ""), ("early", ""), ("no_data", "")];

pub(super) fn read_case(node: &Node, report: &mut Report) -> Option<CaseYaml> {
    let keys = Keys::open(node, "a case", &CASE_KEYS, &[], report)?;
    let states = |key: &'static str, example: &str, report: &mut Report| {
        let names = keys.names(key, report);
        let empty = matches!(keys.get(key).map(|n| &n.kind), Some(NodeKind::List(l)) if l.is_empty());
        if keys.missing(key) || empty {
            report.add(
                if empty { keys.place(key) } else { node.at },
                format!("the case does not say which states are {key}: write `{key}: [{example}]`"),
            );
        }
        names
    };
    Some(CaseYaml {
        at: node.at,
        case: keys.required("case", "the case has no name: write `case: field_report`", report),
        subject: keys.text("subject", report),
        state: keys.required("state", "the case does not say where its state stands: write `state: data.state`", report),
        open: states("open", "created, assigned", report),
        closed: states("closed", "closed", report),
        created: keys.text("created", report),
        due: keys.text("due", report),
        sla: keys.text("sla", report),
        due_soon: keys.text("due_soon", report).and_then(|text| read_length(&text, report).map(|l| (text.at, l))),
        keep: keys.positive_span("keep", report).map_or(Span::days(30), |(_, s)| s),
        from: keys.names("from", report),
        filter: keys.text("where", report),
    })
}

/// `case`, `in` and `for` of an alert; keys that alerts on rows have and these do not are mistakes.
pub(super) fn read_case_alert(keys: &Keys<'_>, node: &Node, report: &mut Report) -> Option<CaseAlertYaml> {
    for (key, why) in [
        ("on", "an alert looks at rows (`on`) or at cases (`case`): remove one"),
        ("until", "an alert on a case has no `until`: it resolves when `in` or `when` no longer holds"),
        ("early", "an alert on a case has no `early`: cases have no rows of their own"),
        ("no_data", "an alert on a case has no `no_data`: a case is silent most of the time"),
    ] {
        if keys.get(key).is_some() {
            report.add(keys.place(key), why);
        }
    }
    if keys.missing("in") && keys.missing("when") {
        report.add(node.at, "the alert has no condition: write `in: created` (a state of the case) or `when: overdue`");
    }
    let hold = match keys.text("for", report) {
        Some(text) => read_length(&text, report)?,
        None => Length::Elapsed(Span::ZERO),
    };
    Some(CaseAlertYaml { case: keys.text("case", report)?, state: keys.text("in", report), hold })
}

fn read_length(text: &Text, report: &mut Report) -> Option<Length> {
    let length = Length::parse(&text.value);
    if length.is_none() {
        let what =
            format!("`{}` is no length of time: write a span as in 2h, or working time as in 2 working hours, 3 working days", text.value);
        report.add(text.at, what);
    }
    length
}
