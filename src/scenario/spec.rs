//! `*.test.yaml` as typed: the file, its tests, their timelines.
//!
//! Owns: [`ScenarioFile`], [`Test`], [`Given`]; the keys of events. Refuses to know: what the pipeline beside it holds (`check` asks).
//!
//! Invariants
//! 1. All mistakes of a file at once, each with file, line, column.
//! 2. A test has at most [`MOST_EVENTS`] events.
//!
//! Called by: cli, run, judge.

use super::expect::{Expect, read_expect};
use super::json::{json, laid_over};
use super::moment::moment;
use crate::engine::setup::Setup;
use crate::pipeline::mistake::{Mistake, Place, Report, closest, sorted};
use crate::pipeline::spec::Keys;
use crate::pipeline::yaml::{Node, NodeKind, Text, read_yaml};
use crate::time::{Span, Timestamp};
use serde_json::{Map, Value, json as object};

/// Events of one test at most.
pub const MOST_EVENTS: usize = 200_000;
/// Copies of one event at most.
const MOST_COPIES: usize = 1000;

pub const FILE_KEYS: [&str; 6] = ["pipeline", "start", "clock", "registry", "defaults", "tests"];
pub const REGISTRY_KEYS: [&str; 1] = ["sources"];
pub const DEFAULT_KEYS: [&str; 4] = ["type", "source", "subject", "data"];
pub const TEST_KEYS: [&str; 4] = ["name", "events", "until", "expect"];
pub const EVENT_KEYS: [&str; 15] =
    ["at", "from", "to", "every", "arrives", "delay", "source", "type", "subject", "id", "copies", "data", "ramp", "attributes", "raw"];

/// Whose time the lane runs by.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Clock {
    /// Records have a broker time, `arrives`; ticks as live.
    #[default]
    Broker,
    /// Recorded data: no broker time, the input ends as a file ends.
    Event,
}

/// One `*.test.yaml`, without mistakes of its own.
#[derive(Clone, PartialEq, Debug)]
pub struct ScenarioFile {
    /// As given, for messages.
    pub path: String,
    /// The pipeline beside.
    pub pipeline: Text,
    pub start: Timestamp,
    pub clock: Clock,
    /// Sources in the place of the registry's: a YAML text whose lines are those of this file; empty where there are none.
    pub sources: String,
    pub tests: Vec<Test>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Test {
    pub at: Place,
    pub name: String,
    /// In the order of arrival.
    pub given: Vec<Given>,
    /// Last tick.
    pub until: Option<Timestamp>,
    pub expect: Expect,
}

/// One record that arrives.
#[derive(Clone, PartialEq, Debug)]
pub struct Given {
    pub at: Place,
    pub time: Timestamp,
    pub arrives: Timestamp,
    pub body: GivenBody,
}

#[derive(Clone, PartialEq, Debug)]
pub enum GivenBody {
    /// Attributes of a CloudEvent; `type` may be left to the pipeline.
    Event(Map<String, Value>),
    Raw(String),
}

impl ScenarioFile {
    /// `path` as messages name it.
    pub fn read(text: &str, path: &str) -> Result<ScenarioFile, Vec<Mistake>> {
        let mut report = Report::new(path);
        let file = read_yaml(text, &mut report).and_then(|root| read_file(&root, path, &mut report));
        match file {
            Some(file) if report.is_empty() => Ok(file),
            _ => Err(sorted(report.into_mistakes())),
        }
    }

    /// Names that the pipeline, its schemas and its rules do not have.
    pub fn check(&self, setup: &Setup) -> Vec<Mistake> {
        let mut report = Report::new(&self.path);
        let pipeline = &setup.pipelines[0];
        let kinds: Vec<&str> = pipeline.types.iter().map(|t| t.kind.as_str()).collect();
        for test in &self.tests {
            for given in &test.given {
                let GivenBody::Event(event) = &given.body else { continue };
                match event.get("type").and_then(Value::as_str) {
                    None if kinds.len() != 1 => report.add(
                        given.at,
                        format!("the pipeline reads {} event types: write `type:`, one of {}", kinds.len(), kinds.join(", ")),
                    ),
                    Some(kind) if !setup.plan.type_id(kind).is_known() => report.suggest(
                        given.at,
                        format!("no schema and no pipeline names the type `{kind}`"),
                        closest(kind, kinds.iter().copied()),
                    ),
                    _ => {}
                }
            }
            test.expect.check(pipeline, &mut report);
        }
        sorted(report.into_mistakes())
    }
}

fn read_file(root: &Node, path: &str, report: &mut Report) -> Option<ScenarioFile> {
    let keys = Keys::open(root, "a scenario file", &FILE_KEYS, &[], report)?;
    let pipeline = keys.required("pipeline", "the file names no pipeline: write `pipeline: name`, that of the file beside", report);
    let start = keys.required("start", "the file has no start: write `start: 2026-06-01T07:00:00+07:00`", report);
    let start = start.and_then(|text| {
        let start = Timestamp::parse_rfc3339(text.value.as_bytes());
        if start.is_none() {
            report.add(text.at, format!("`{}` is no instant: write one as 2026-06-01T07:00:00+07:00", text.value));
        }
        start
    });
    let clock = keys.text("clock", report).map_or(Clock::Broker, |text| match text.value.as_str() {
        "broker" => Clock::Broker,
        "event" => Clock::Event,
        other => {
            report.add(text.at, format!("`clock` is broker or event, not `{other}`"));
            Clock::Broker
        }
    });
    let sources = keys.get("registry").map_or_else(String::new, |node| read_registry(node, report));
    let defaults = keys.get("defaults").and_then(|node| read_defaults(node, start?, report)).unwrap_or_default();
    if keys.missing("tests") || matches!(keys.get("tests").map(|n| &n.kind), Some(NodeKind::List(l)) if l.is_empty()) {
        report.add(root.at, "the file has no tests: write `tests:` and a list of them");
    }
    let place = Placed { start: start.unwrap_or_default(), clock, defaults };
    let tests = keys.list("tests", report).iter().filter_map(|n| read_test(n, &place, report)).collect();
    Some(ScenarioFile { path: path.to_owned(), pipeline: pipeline?, start: start?, clock, sources, tests })
}

/// The lines of `sources` as YAML, each where it stands in this file.
fn read_registry(node: &Node, report: &mut Report) -> String {
    let Some(keys) = Keys::open(node, "`registry`", &REGISTRY_KEYS, &[], report) else { return String::new() };
    let mut out = String::from("{\"sources\": [");
    let mut line = 1;
    let entries = keys.list("sources", report);
    for (n, entry) in entries.iter().enumerate() {
        while line < entry.at.line {
            out.push('\n');
            line += 1;
        }
        out.push_str(&json(entry, None).to_string());
        out.push_str(if n + 1 < entries.len() { "," } else { "" });
    }
    out.push_str("]}\n");
    if entries.is_empty() { String::new() } else { out }
}

/// What holds for every event of the file.
struct Placed {
    start: Timestamp,
    clock: Clock,
    defaults: Defaults,
}

#[derive(Default)]
struct Defaults {
    kind: Option<Text>,
    sources: Vec<Text>,
    subject: Option<Text>,
    data: Option<Value>,
}

fn read_defaults(node: &Node, start: Timestamp, report: &mut Report) -> Option<Defaults> {
    let keys = Keys::open(node, "`defaults`", &DEFAULT_KEYS, &[], report)?;
    Some(Defaults {
        kind: keys.text("type", report),
        sources: names(&keys, "source", report),
        subject: keys.text("subject", report),
        data: keys.get("data").map(|n| json(n, Some(start))),
    })
}

/// One value, or a list of them.
fn names(keys: &Keys<'_>, key: &str, report: &mut Report) -> Vec<Text> {
    match keys.get(key).map(|n| &n.kind) {
        Some(NodeKind::List(_)) => keys.names(key, report),
        _ => keys.text(key, report).into_iter().collect(),
    }
}

fn read_test(node: &Node, place: &Placed, report: &mut Report) -> Option<Test> {
    let keys = Keys::open(node, "a test", &TEST_KEYS, &[], report)?;
    let name = keys.required("name", "the test has no name: write `name:` and what it shows", report);
    let until = instant(&keys, "until", place.start, report);
    if place.clock == Clock::Event && until.is_some() {
        report.add(keys.place("until"), "with `clock: event` the run ends with its last event: remove `until`");
    }
    let mut given = Vec::new();
    let mut number = 0;
    for event in keys.list("events", report) {
        if let Some(event) = read_event(event, place, report) {
            event.expand(&mut number, &mut given);
        }
        if given.len() > MOST_EVENTS {
            report.add(keys.place("events"), format!("more than {MOST_EVENTS} events: make the series shorter"));
            return None;
        }
    }
    given.sort_by_key(|g: &Given| g.arrives);
    if let Some(lost) = given.iter().find(|g| until.is_some_and(|until| g.arrives > until)) {
        report.add(lost.at, "the event arrives after `until`: the test would never see it");
    }
    if keys.missing("expect") {
        report.add(node.at, "the test expects nothing: write `expect:` with rows, alerts, no_alerts, cases or verdicts");
    }
    let expect = keys.get("expect").and_then(|n| read_expect(n, place.start, report));
    Some(Test { at: node.at, name: name?.value, given, until, expect: expect? })
}

/// An instant of the timeline; what is no instant is reported.
pub(super) fn instant(keys: &Keys<'_>, key: &str, start: Timestamp, report: &mut Report) -> Option<Timestamp> {
    let text = keys.text(key, report)?;
    let at = moment(&text.value, start);
    if at.is_none() {
        report.add(text.at, format!("`{}` is no time: write +90s or +1h30m after `start`, or 2026-06-01T07:00:00+07:00", text.value));
    }
    at
}

/// One entry of `events`, still folded.
struct EventYaml {
    at: Place,
    times: Vec<Timestamp>,
    arrives: Option<Timestamp>,
    delay: Span,
    kind: Option<Text>,
    sources: Vec<Text>,
    subject: Option<Text>,
    id: Option<Text>,
    copies: usize,
    data: Option<Value>,
    /// By name: value at the first and at the last event of the series.
    ramp: Vec<(String, f64, f64)>,
    attributes: Map<String, Value>,
    raw: Option<Text>,
}

fn read_event(node: &Node, place: &Placed, report: &mut Report) -> Option<EventYaml> {
    let keys = Keys::open(node, "an event", &EVENT_KEYS, &[], report)?;
    let times = read_times(&keys, node, place.start, report)?;
    let data = keys.get("data").map(|n| json(n, Some(place.start)));
    let data = match (&place.defaults.data, data) {
        (Some(under), Some(over)) => Some(laid_over(under, over)),
        (under, over) => over.or_else(|| under.clone()),
    };
    let event = EventYaml {
        at: node.at,
        arrives: instant(&keys, "arrives", place.start, report),
        delay: keys.span("delay", None, report).unwrap_or(Span::ZERO),
        kind: keys.text("type", report).or_else(|| place.defaults.kind.clone()),
        sources: Some(names(&keys, "source", report)).filter(|s| !s.is_empty()).unwrap_or_else(|| place.defaults.sources.clone()),
        subject: keys.text("subject", report).or_else(|| place.defaults.subject.clone()),
        id: keys.text("id", report),
        copies: read_copies(&keys, report),
        data,
        ramp: read_ramp(&keys, report),
        attributes: match keys.get("attributes").map(|n| json(n, Some(place.start))) {
            Some(Value::Object(map)) => map,
            _ => Map::new(),
        },
        raw: keys.text("raw", report),
        times,
    };
    if event.sources.is_empty() && event.raw.is_none() {
        report.add(node.at, "the event has no source: write `source: T1`, or one for all under `defaults`");
        return None;
    }
    if event.id.is_some() && event.times.len() * event.sources.len() > 1 {
        report.add(keys.place("id"), "`id` names one event: give it without a series and with one source");
    }
    for (a, b) in [("arrives", "delay"), ("raw", "data")] {
        if keys.get(a).is_some() && keys.get(b).is_some() {
            report.add(keys.place(b), format!("`{a}` and `{b}` exclude each other: remove one"));
        }
    }
    Some(event)
}

fn read_times(keys: &Keys<'_>, node: &Node, start: Timestamp, report: &mut Report) -> Option<Vec<Timestamp>> {
    let series = ["from", "to", "every"].map(|k| keys.get(k).is_some());
    if keys.get("at").is_some() && !series.contains(&true) {
        return Some(vec![instant(keys, "at", start, report)?]);
    }
    if keys.get("at").is_some() || series.contains(&false) {
        report.add(node.at, "an event has `at`, or a series has `from`, `to` and `every`");
        return None;
    }
    let (from, to) = (instant(keys, "from", start, report), instant(keys, "to", start, report));
    let (_, every) = keys.positive_span("every", report)?;
    let (from, to) = (from?, to?);
    if to < from {
        report.add(keys.place("to"), "`to` lies before `from`");
        return None;
    }
    let count = (to - from).0 / every.0 + 1;
    if count > MOST_EVENTS as i64 {
        report.add(keys.place("every"), format!("{count} events: at most {MOST_EVENTS} of a test"));
        return None;
    }
    Some((0..count).map(|n| from + every.times(n)).collect())
}

fn read_copies(keys: &Keys<'_>, report: &mut Report) -> usize {
    let Some(text) = keys.text("copies", report) else { return 1 };
    let copies = text.value.parse().ok().filter(|n| (1..=MOST_COPIES).contains(n));
    if copies.is_none() {
        report.add(text.at, format!("`copies` is a whole number from 1 to {MOST_COPIES}, not `{}`", text.value));
    }
    copies.unwrap_or(1)
}

fn read_ramp(keys: &Keys<'_>, report: &mut Report) -> Vec<(String, f64, f64)> {
    let Some(node) = keys.get("ramp") else { return Vec::new() };
    let ends = |node: &Node| match json(node, None) {
        Value::Array(ends) => match ends.as_slice() {
            [first, last] => Some((first.as_f64()?, last.as_f64()?)),
            _ => None,
        },
        _ => None,
    };
    let NodeKind::Map(entries) = &node.kind else {
        report.add(keys.place("ramp"), "`ramp` is a mapping of names in `data` to [first, last], as in `{level_m: [1.0, 1.6]}`");
        return Vec::new();
    };
    let mut ramp = Vec::new();
    for (name, node) in entries {
        match ends(node) {
            Some((first, last)) => ramp.push((name.value.clone(), first, last)),
            None => report.add(node.at, format!("`{}` of `ramp` is two numbers, [first, last]", name.value)),
        }
    }
    ramp
}

impl EventYaml {
    fn expand(&self, number: &mut usize, out: &mut Vec<Given>) {
        let last = self.times.len().saturating_sub(1).max(1) as f64;
        for (step, time) in self.times.iter().enumerate() {
            let arrives = self.arrives.unwrap_or(*time + self.delay);
            let one = |body: GivenBody| Given { at: self.at, time: *time, arrives, body };
            if let Some(raw) = &self.raw {
                out.extend((0..self.copies).map(|_| one(GivenBody::Raw(raw.value.clone()))));
                continue;
            }
            for source in &self.sources {
                *number += 1;
                let event = self.event(source, *time, *number, step as f64 / last);
                out.extend((0..self.copies).map(|_| one(GivenBody::Event(event.clone()))));
            }
        }
    }

    fn event(&self, source: &Text, time: Timestamp, number: usize, part: f64) -> Map<String, Value> {
        let mut event = self.attributes.clone();
        let mut put = |name: &str, value: Value| {
            event.entry(name).or_insert(value);
        };
        put("specversion", "1.0".into());
        put("id", self.id.as_ref().map_or_else(|| format!("s{number}"), |t| t.value.clone()).into());
        put("source", source.value.clone().into());
        put("time", time.to_string().into());
        for (name, text) in [("type", &self.kind), ("subject", &self.subject)] {
            if let Some(text) = text {
                put(name, text.value.clone().into());
            }
        }
        let mut data = self.data.clone();
        for (name, first, last) in &self.ramp {
            // rounded, so that 1.0 to 1.6 in seven steps meets 1.3
            let value = ((first + (last - first) * part) * 1e9).round() / 1e9;
            if let Value::Object(map) = data.get_or_insert_with(|| object!({})) {
                map.insert(name.clone(), value.into());
            }
        }
        if let Some(data) = data {
            put("data", data);
        }
        event
    }
}
