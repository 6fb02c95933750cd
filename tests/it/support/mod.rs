//! What the integration tests share: a setup from texts, events, lanes stepped in simulated time, canonical forms.

pub mod app;
pub mod feed;
pub mod sets;
pub mod site;

use ioc::definitions::Definitions;
use ioc::engine::lane::Effects;
use ioc::engine::setup::Setup;
use ioc::engine::{AlertChange, Condition, FieldValue, Row};
use ioc::time::{Span, Timestamp};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

/// 2025-07-15T07:00:00+07:00, a whole hour in every zone of these tests.
pub const T0: Timestamp = Timestamp::from_seconds(1_752_537_600);

pub fn s(seconds: i64) -> Timestamp {
    T0 + Span::seconds(seconds)
}

pub fn ms(millis: i64) -> Timestamp {
    T0 + Span(millis * 1_000_000)
}

/// Texts by path, as the definitions hold them.
pub fn definitions(files: &[(&str, &str)]) -> Definitions {
    Definitions { files: files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect() }
}

pub fn setup(files: &[(&str, &str)]) -> Arc<Setup> {
    compiled(&definitions(files), None)
}

pub fn compiled(definitions: &Definitions, max_behind: Option<Span>) -> Arc<Setup> {
    Arc::new(definitions.compile(max_behind).unwrap_or_else(|mistakes| panic!("{mistakes}")))
}

/// A CloudEvent of a type and source; more is added by the caller.
pub fn event(kind: &str, source: &str, id: &str, time: Timestamp, data: Value) -> Vec<u8> {
    let event = json!({"specversion": "1.0", "type": kind, "source": source, "id": id, "time": time.to_string(), "data": data});
    event.to_string().into_bytes()
}

/// What a row says, in one line: `measurement,tags start values state revision heard/expected`.
pub fn row_line(setup: &Setup, row: &Row) -> String {
    let mut line = row_identity(setup, row);
    let _ = write!(line, " {} {} r{}", values_of(setup, row), row.state.name(), row.revision);
    if let (Some(heard), Some(expected)) = (row.heard, row.expected) {
        let _ = write!(line, " {heard}/{expected}");
    }
    line
}

pub fn row_identity(setup: &Setup, row: &Row) -> String {
    let window = &setup.pipelines[row.pipeline as usize].windows[row.window as usize];
    let tags: Vec<String> = window.tags.iter().zip(&row.key.tags).map(|(name, tag)| format!(",{name}={tag}")).collect();
    format!("{}{} {}", window.measurement, tags.concat(), (row.start - T0).0 / 1_000_000_000)
}

/// `name=value` by field; absent ones left out.
pub fn values_of(setup: &Setup, row: &Row) -> String {
    let window = &setup.pipelines[row.pipeline as usize].windows[row.window as usize];
    let values = window.fields.iter().zip(&row.values).filter_map(|(field, value)| match value {
        FieldValue::Absent => None,
        FieldValue::Int(n) => Some(format!("{}={n}i", field.name)),
        FieldValue::Float(x) => Some(format!("{}={x:?}", field.name)),
    });
    values.collect::<Vec<_>>().join(",")
}

/// Values: the last row of each identity without revision and state (R3).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Values(pub BTreeMap<String, String>);

impl Values {
    pub fn add(&mut self, setup: &Setup, rows: &[Row]) {
        for row in rows {
            let text = format!("{} {:?} {:?}", values_of(setup, row), row.heard, row.expected);
            self.0.insert(row_identity(setup, row), text);
        }
    }
}

/// History: everything that a tick did, byte for byte (R3).
pub fn history(effects: &Effects) -> String {
    format!("{effects:?}")
}

/// What can be seen of a tick without its number: rows and changes.
pub fn visible(effects: &Effects) -> Vec<String> {
    let unnumbered = |text: String, tick: u64| text.replace(&format!("tick: {tick},"), "");
    let changes = effects.changes.iter().map(|c| unnumbered(format!("{c:?}"), c.tick));
    effects.rows.iter().map(|r| format!("{r:?}")).chain(changes).collect()
}

/// `rule from>to at(seconds) reason`.
pub fn change_line(setup: &Setup, change: &AlertChange) -> String {
    let rule = setup.pipelines.get(change.pipeline as usize).and_then(|p| p.head(change.rule));
    let name = rule.map_or("gone", |r| r.name);
    let mut line = format!("{name} {}>{} {}", condition(change.from), condition(change.to), (change.at - T0).0 / 1_000_000_000);
    if let Some(reason) = change.reason {
        let _ = write!(line, " {reason:?}");
    }
    if change.retroactive {
        line.push_str(" retroactive");
    }
    line
}

fn condition(condition: Condition) -> &'static str {
    match condition {
        Condition::Inactive => "inactive",
        Condition::Pending => "pending",
        Condition::Firing => "firing",
        Condition::NoData => "no data",
        Condition::Resolved => "resolved",
    }
}
