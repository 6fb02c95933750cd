//! The YAML of a pipeline as typed values with their places.
//!
//! Owns: the keys of the file, which are required, and the words for what is missing or strange. Refuses to know: what expressions
//! and names mean (compile.rs).
//!
//! Invariants
//! 1. Unknown keys are mistakes; keys of the design that this version lacks say so.
//! 2. A mistake in one key hides no mistake in another: what cannot be read is `None`.
//!
//! Called by: compile (pipelines), map (the same readers for maps). spec/case.rs reads cases and alerts on them.

mod case;

pub use case::{CaseAlertYaml, CaseYaml};

pub mod absence;

use super::Severity;
use super::mistake::{Place, Report, closest, listed};
use super::yaml::{Node, NodeKind, Text};
use crate::time::{Every, Span};
use absence::{AbsenceYaml, is_absence, read_absence};

#[derive(Debug)]
pub struct PipelineSpec {
    pub at: Place,
    pub pipeline: Option<Text>,
    pub sector: Option<Text>,
    pub from: Vec<Text>,
    pub filter: Option<Text>,
    pub out_of_orderness: Option<Span>,
    pub lateness: Option<Span>,
    pub idle_after: Option<Span>,
    pub patience: Option<Span>,
    pub max_delay: Option<(Place, Span)>,
    pub dedup: Option<Span>,
    pub time_zone: Option<Text>,
    pub cases: Vec<CaseYaml>,
    pub windows: Vec<WindowYaml>,
    pub alerts: Vec<AlertYaml>,
    pub absences: Vec<AbsenceYaml>,
}

#[derive(Debug)]
pub struct WindowYaml {
    pub at: Place,
    pub measurement: Option<Text>,
    /// The case whose open ones it counts.
    pub gauge: Option<Text>,
    pub every: Option<Every>,
    /// Hopping: the length where it is not `every`.
    pub period: Option<(Place, Every)>,
    pub early: Option<(Place, Span)>,
    /// `fill: 0`.
    pub fill: bool,
    pub from: Vec<Text>,
    pub filter: Option<Text>,
    pub by: Vec<ByYaml>,
    pub fields: Vec<(Text, Text)>,
}

/// One entry of `by`: a name or path, or `name: expression`.
#[derive(Debug)]
pub enum ByYaml {
    Path(Text),
    Named(Text, Text),
}

#[derive(Debug)]
pub struct AlertYaml {
    pub at: Place,
    pub alert: Option<Text>,
    pub case: Option<CaseAlertYaml>,
    pub on: Option<Text>,
    pub when: Option<Text>,
    pub hold: Span,
    pub until: Option<Text>,
    pub early: bool,
    pub no_data: Option<Span>,
    /// Alerts on absent sources, of any file.
    pub stands_for: Vec<Text>,
    pub severity: Option<Severity>,
    pub vi: Option<Text>,
    pub en: Option<Text>,
    pub sop: Option<Text>,
}

const PIPELINE_KEYS: [&str; 14] = [
    "pipeline",
    "sector",
    "from",
    "where",
    "out_of_orderness",
    "lateness",
    "idle_after",
    "patience",
    "max_delay",
    "dedup",
    "time_zone",
    "cases",
    "windows",
    "alerts",
];
const WINDOW_KEYS: [&str; 10] = ["measurement", "gauge", "every", "period", "early", "fill", "from", "where", "by", "fields"];
const ALERT_KEYS: [&str; 11] = ["alert", "on", "when", "for", "until", "early", "no_data", "stands_for", "severity", "title", "sop"];

/// Reads a pipeline's tree.
pub fn read_pipeline(root: &Node, report: &mut Report) -> Option<PipelineSpec> {
    let keys = Keys::open(root, "a pipeline", &PIPELINE_KEYS, &[], report)?;
    let spec = PipelineSpec {
        at: root.at,
        pipeline: keys.required("pipeline", "the pipeline has no name: write `pipeline: name`", report),
        sector: keys.required("sector", "the pipeline has no sector: write `sector: traffic` or another of registry/sectors.yaml", report),
        from: keys.names("from", report),
        filter: keys.text("where", report),
        out_of_orderness: keys.span(
            "out_of_orderness",
            Some("the pipeline does not say how far events of one partition may be out of order: write `out_of_orderness: 5s`"),
            report,
        ),
        lateness: keys.span(
            "lateness",
            Some("the pipeline does not say how late events may still change a row: write `lateness: 5m`"),
            report,
        ),
        idle_after: keys.positive_span("idle_after", report).map(|(_, s)| s),
        patience: keys.span("patience", None, report),
        max_delay: keys.positive_span("max_delay", report),
        dedup: keys.span("dedup", None, report),
        time_zone: keys.text("time_zone", report),
        cases: keys.list("cases", report).iter().filter_map(|n| case::read_case(n, report)).collect(),
        windows: keys.list("windows", report).iter().filter_map(|n| read_window(n, report)).collect(),
        alerts: keys.list("alerts", report).iter().filter(|n| !is_absence(n)).filter_map(|n| read_alert(n, report)).collect(),
        absences: keys.list("alerts", report).iter().filter(|n| is_absence(n)).filter_map(|n| read_absence(n, report)).collect(),
    };
    if keys.missing("from") {
        report.add(root.at, "the pipeline names no event types: write `from: [traffic.loop]`");
    } else if matches!(keys.get("from").map(|n| &n.kind), Some(NodeKind::List(l)) if l.is_empty()) {
        report.add(keys.place("from"), "`from` is empty: name the event types that this pipeline reads");
    }
    let none = matches!(keys.get("windows").map(|n| &n.kind), Some(NodeKind::List(l)) if l.is_empty()) || keys.missing("windows");
    if none && keys.get("cases").is_none() {
        report.add(root.at, "the pipeline has no windows: write `windows:` and a list of measurements");
    }
    Some(spec)
}

fn read_window(node: &Node, report: &mut Report) -> Option<WindowYaml> {
    let later = [("gap", "session windows come later: write `every: 1m` instead of `gap`")];
    let keys = Keys::open(node, "a window", &WINDOW_KEYS, &later, report)?;
    let every = keys.every("every", report).map(|(_, every)| every);
    if keys.missing("every") {
        if keys.get("period").is_some() {
            report.add(keys.place("period"), "`period` is a window's length: say with `every: 15m` how often one begins");
        } else if keys.get("gap").is_none() {
            report.add(node.at, "the window has no length: write `every: 1m`");
        }
    }
    let fields = keys.entries("fields", "`fields` is a mapping of names to aggregates, as in `vehicles: sum(data.count)`", report);
    if matches!(keys.get("fields").map(|n| &n.kind), Some(NodeKind::Map(m)) if m.is_empty()) || keys.missing("fields") {
        report.add(node.at, "the window has no fields: write `fields:` and names with aggregates, as in `vehicles: sum(data.count)`");
    }
    let gauge = keys.text("gauge", report);
    for key in ["early", "period", "fill", "from", "where"] {
        if gauge.is_some() && keys.get(key).is_some() {
            let why = match key {
                "early" | "period" => "its rows are as of their end",
                "fill" => "it has a row for every key with cases",
                _ => "it counts cases: use a condition, as in `n: countif(…)`",
            };
            report.add(keys.place(key), format!("a gauge has no `{key}`: {why}"));
        }
    }
    Some(WindowYaml {
        at: node.at,
        gauge,
        measurement: keys.required("measurement", "the window has no measurement: write `measurement: name`", report),
        every,
        period: keys.every("period", report),
        early: keys.positive_span("early", report),
        fill: read_fill(&keys, report),
        from: keys.names("from", report),
        filter: keys.text("where", report),
        by: keys.list("by", report).iter().filter_map(|n| read_by(n, report)).collect(),
        fields,
    })
}

fn read_fill(keys: &Keys<'_>, report: &mut Report) -> bool {
    let Some(text) = keys.text("fill", report) else { return false };
    if text.value != "0" {
        report.add(text.at, "`fill` can only be 0: a window without events counts 0, other fields are absent");
    }
    true
}

fn read_by(node: &Node, report: &mut Report) -> Option<ByYaml> {
    match &node.kind {
        NodeKind::Scalar(text) => Some(ByYaml::Path(text.clone())),
        NodeKind::Unread => None,
        NodeKind::Map(entries) => match entries.as_slice() {
            [(name, Node { kind: NodeKind::Scalar(text), .. })] => Some(ByYaml::Named(name.clone(), text.clone())),
            _ => {
                report.add(node.at, "an entry of `by` is a name, or one `name: expression`");
                None
            }
        },
        _ => {
            report.add(node.at, format!("an entry of `by` is a name, or one `name: expression`, not {}", node.describe()));
            None
        }
    }
}

fn read_alert(node: &Node, report: &mut Report) -> Option<AlertYaml> {
    let later = [("after", "")];
    let on_case = matches!(&node.kind, NodeKind::Map(entries) if entries.iter().any(|(k, _)| k.value == "case" || k.value == "in"));
    let keys = match on_case {
        true => Keys::open(node, "an alert", &case::CASE_ALERT_KEYS, &[&later[..], &case::ONLY_ON_ROWS].concat(), report)?,
        false => Keys::open(node, "an alert", &ALERT_KEYS, &later, report)?,
    };
    if keys.get("after").is_some() {
        report.suggest(keys.place("after"), "an alert has no key `after`", Some("for".to_owned()));
    }
    if on_case && keys.missing("case") {
        report.add(keys.place("in"), "`in` is a state of a case: write `case:` and one of this file's cases");
    }
    let case = if on_case { case::read_case_alert(&keys, node, report) } else { None };
    let hold = if on_case { None } else { keys.span("for", None, report) };
    let severity = keys.required("severity", "the alert has no severity: write critical, major, minor or notice", report);
    let (vi, en) = read_title(&keys, node, report);
    Some(AlertYaml {
        at: node.at,
        alert: keys.required("alert", "the alert has no name: write `alert: name`", report),
        case,
        on: match on_case {
            true => None,
            false => keys.required("on", "the alert names no measurement: write `on:` and one of this file's windows", report),
        },
        when: match on_case {
            true => keys.text("when", report),
            false => keys.required("when", "the alert has no condition: write `when: speed < 10`", report),
        },
        hold: hold.unwrap_or(Span::ZERO),
        until: keys.text("until", report),
        early: keys.flag("early", report),
        no_data: keys.positive_span("no_data", report).map(|(_, s)| s),
        stands_for: keys.names("stands_for", report),
        severity: severity.and_then(|text| read_severity(&text, report)),
        vi,
        en,
        sop: keys.text("sop", report),
    })
}

fn read_title(keys: &Keys<'_>, node: &Node, report: &mut Report) -> (Option<Text>, Option<Text>) {
    let help = "write `title: {vi: \"…\", en: \"…\"}`";
    match keys.get("title") {
        None => {
            if keys.missing("title") {
                report.add(node.at, format!("the alert has no title: {help}"));
            }
            (None, None)
        }
        Some(title) => match Keys::open(title, "a title", &["vi", "en"], &[], report) {
            None => (None, None),
            Some(title_keys) => {
                let vi = title_keys.required("vi", &format!("the title lacks Vietnamese: {help}"), report);
                let en = title_keys.required("en", &format!("the title lacks English: {help}"), report);
                (vi, en)
            }
        },
    }
}

fn read_severity(text: &Text, report: &mut Report) -> Option<Severity> {
    Some(match text.value.as_str() {
        "critical" => Severity::Critical,
        "major" => Severity::Major,
        "minor" => Severity::Minor,
        "notice" => Severity::Notice,
        other => {
            let names = ["critical", "major", "minor", "notice"];
            report.suggest(text.at, format!("`{other}` is no severity: write {}", listed(names)), closest(other, names));
            return None;
        }
    })
}

/// The keys of one mapping.
pub struct Keys<'n> {
    at: Place,
    entries: &'n [(Text, Node)],
    /// Keys that an unknown key was probably meant to be: they are not missing too.
    meant: Vec<String>,
}

impl<'n> Keys<'n> {
    /// Reports what is no mapping and keys that `what` does not have. `later`: keys with the message that they come later ("" is silent).
    pub fn open(node: &'n Node, what: &str, allowed: &[&str], later: &[(&str, &str)], report: &mut Report) -> Option<Keys<'n>> {
        let NodeKind::Map(entries) = &node.kind else {
            if node.kind == NodeKind::Unread {
                return None;
            }
            report.add(node.at, format!("{what} is a mapping of keys to values, not {}", node.describe()));
            return None;
        };
        let mut meant = Vec::new();
        for (key, _) in entries {
            let name = key.value.as_str();
            match later.iter().find(|(k, _)| *k == name) {
                Some((_, "")) => {}
                Some((_, message)) => report.add(key.at, *message),
                None if allowed.contains(&name) => {}
                None => {
                    let next = closest(name, allowed.iter().copied());
                    let keys = if next.is_some() { String::new() } else { format!(": it has {}", allowed.join(", ")) };
                    meant.extend(next.clone());
                    report.suggest(key.at, format!("{what} has no key `{name}`{keys}"), next);
                }
            }
        }
        Some(Keys { at: node.at, entries, meant })
    }

    pub fn get(&self, key: &str) -> Option<&'n Node> {
        self.entries.iter().find(|(k, _)| k.value == key).map(|(_, n)| n)
    }

    /// Neither there nor misspelt.
    pub fn missing(&self, key: &str) -> bool {
        self.get(key).is_none() && !self.meant.iter().any(|m| m == key)
    }

    /// The place of a key, else of the mapping.
    pub fn place(&self, key: &str) -> Place {
        self.entries.iter().find(|(k, _)| k.value == key).map_or(self.at, |(k, _)| k.at)
    }

    pub fn text(&self, key: &str, report: &mut Report) -> Option<Text> {
        let node = self.get(key)?;
        match &node.kind {
            NodeKind::Scalar(text) => Some(text.clone()),
            NodeKind::Unread => None,
            NodeKind::Null => {
                report.add(self.place(key), format!("`{key}` is empty: give it a value or remove it"));
                None
            }
            _ => {
                report.add(node.at, format!("`{key}` is a single value, not {}", node.describe()));
                None
            }
        }
    }

    pub fn required(&self, key: &str, missing: &str, report: &mut Report) -> Option<Text> {
        if self.missing(key) {
            report.add(self.at, missing);
        }
        self.text(key, report)
    }

    pub fn list(&self, key: &str, report: &mut Report) -> &'n [Node] {
        match self.get(key).map(|n| (&n.kind, n)) {
            None | Some((NodeKind::Unread, _)) => &[],
            Some((NodeKind::List(list), _)) => list,
            Some((_, node)) => {
                let help = match &node.kind {
                    NodeKind::Scalar(text) => format!(": write `{key}: [{}]`", text.value),
                    _ => String::new(),
                };
                let at = if node.kind == NodeKind::Null { self.place(key) } else { node.at };
                report.add(at, format!("`{key}` is a list, not {}{help}", node.describe()));
                &[]
            }
        }
    }

    /// A list of single values.
    pub fn names(&self, key: &str, report: &mut Report) -> Vec<Text> {
        let mut names = Vec::new();
        for node in self.list(key, report) {
            match &node.kind {
                NodeKind::Scalar(text) => names.push(text.clone()),
                NodeKind::Unread => {}
                _ => report.add(node.at, format!("`{key}` lists names, not {}", node.describe())),
            }
        }
        names
    }

    /// A mapping of names to single values, in the order of the file.
    pub fn entries(&self, key: &str, what: &str, report: &mut Report) -> Vec<(Text, Text)> {
        let mut out = Vec::new();
        match self.get(key).map(|n| (&n.kind, n)) {
            None | Some((NodeKind::Unread, _)) => {}
            Some((NodeKind::Map(entries), _)) => {
                for (name, node) in entries {
                    match &node.kind {
                        NodeKind::Scalar(text) => out.push((name.clone(), text.clone())),
                        NodeKind::Unread => {}
                        NodeKind::Null if name.value.contains(['(', ')', '"']) => {
                            report.add(
                                name.at,
                                format!("`{}` is no name: inside `{{…}}` an expression with commas needs quotes", name.value),
                            );
                        }
                        _ => report.add(name.at, format!("`{}` is {}: {what}", name.value, node.describe())),
                    }
                }
            }
            Some((_, node)) => report.add(self.place(key), format!("{what}, not {}", node.describe())),
        }
        out
    }

    pub fn flag(&self, key: &str, report: &mut Report) -> bool {
        match self.text(key, report) {
            None => false,
            Some(text) => match text.value.as_str() {
                "true" => true,
                "false" => false,
                other => {
                    report.add(text.at, format!("`{key}` is true or false, not `{other}`"));
                    false
                }
            },
        }
    }

    /// A span of zero or more; `missing`: required, with what to say where it is not there.
    pub fn span(&self, key: &str, missing: Option<&str>, report: &mut Report) -> Option<Span> {
        let text = match missing {
            Some(missing) => self.required(key, missing, report)?,
            None => self.text(key, report)?,
        };
        let span = Span::parse(&text.value);
        if span.is_none() {
            report.add(text.at, format!("`{}` is no span: write a number and ms, s, m, h, d or w, as in 5m", text.value));
        }
        span
    }

    /// A window's length or step.
    pub fn every(&self, key: &str, report: &mut Report) -> Option<(Place, Every)> {
        let text = self.text(key, report)?;
        let every = Every::parse(&text.value).filter(|e| e.nominal() > Span::ZERO);
        if every.is_none() {
            let what = format!("`{}` is no window length: write a number and s, m, h, d, w or mo, as in 1m, 1h, 1d, 1mo", text.value);
            report.add(text.at, what);
        }
        every.map(|every| (text.at, every))
    }

    pub fn positive_span(&self, key: &str, report: &mut Report) -> Option<(Place, Span)> {
        let span = self.span(key, None, report)?;
        let at = self.get(key).map_or(self.at, |n| n.at);
        if span == Span::ZERO {
            report.add(at, format!("`{key}` must be longer than zero"));
            return None;
        }
        Some((at, span))
    }
}
