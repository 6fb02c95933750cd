//! Rows of foreign files → CloudEvents, as a `*.map.yaml` says.
//!
//! ```yaml
//! format: csv                     # csv, ndjson, or json (one array of objects)
//! delimiter: ";"                  # csv only; default a comma
//! join: {file: stations.csv, on: station, to: id}   # row.station = the other file's id; its columns are join.NAME
//! sort: time                      # or broker_time: for files that are not in order
//! emit:                           # every entry whose `when` is true makes one event
//!   - when: row.kind == "level"
//!     type: water.level           # a name; everything else is an expression over row.COLUMN
//!     source: row.station
//!     id: row.station + "-" + row.at
//!     time: time(row.at, "%d/%m/%Y %H:%M", "Asia/Ho_Chi_Minh")   # a text must be RFC 3339
//!     lon: join.lon
//!     lat: join.lat
//!     data: {level_m: double(row.level)}
//! ```
//!
//! Lines that are CloudEvents already, and say in an extension attribute when they arrived, pass as they are, broken ones too:
//!
//! ```yaml
//! format: events
//! broker_time: arrived            # name of the attribute
//! ```
//!
//! Owns: the map's keys, and how a row's event is written. map/rows.rs reads rows. Refuses to know: files, partitions, the log.
//!
//! Invariants
//! 1. What is emitted is valid JSON, its members in the order specversion, id, type, source, subject, time, data.
//! 2. A value that is not there is null in `data` and left out of the envelope: decoding judges and counts it, nothing is lost here.
//! 3. The same row gives the same bytes.
//!
//! Called by: ingest (files), check.

mod rows;

#[cfg(test)]
mod tests;

pub use rows::{CsvColumns, CsvRow, JsonRow, json_rows};

use super::expr::{Found, Inputs, Program, Scope, Unresolved, Value, ValueType, compile_ast, syntax};
use super::mistake::{Mistake, Place, Report, closest, listed, sorted};
use super::spec::Keys;
use super::yaml::{self, Node, Text};
use crate::time::Timestamp;
use rows::JoinTable;
use std::borrow::Cow;

/// How rows are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// With a header line.
    Csv { delimiter: u8 },
    /// One array of objects.
    Json,
    /// One object a line.
    Ndjson,
    /// One CloudEvent a line; nothing is changed.
    Events,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sort {
    Time,
    BrokerTime,
}

/// A second file whose row is found by a column.
#[derive(Clone, PartialEq, Debug)]
pub struct Join {
    /// As written, relative to the map.
    pub file: String,
    /// Index in [`Map::columns`].
    pub on: usize,
    /// Column of the second file.
    pub to: String,
    pub delimiter: u8,
}

/// One event of a row.
#[derive(Clone, PartialEq, Debug)]
pub struct Emitted {
    /// A structured CloudEvent.
    pub json: Vec<u8>,
    pub time: Option<Timestamp>,
    pub broker_time: Option<Timestamp>,
}

/// One row, by index in [`Map::columns`].
pub trait RowView {
    /// As text; `None`: null or no such column.
    fn text(&self, column: usize) -> Option<Cow<'_, str>>;
}

/// A compiled map.
#[derive(Clone, Debug)]
pub struct Map {
    pub format: Format,
    pub sort: Option<Sort>,
    pub join: Option<Join>,
    /// With [`Format::Events`]: the attribute that says when an event arrived, as it stands before its value (`"arrived":"`).
    pub arrived: Option<Vec<u8>>,
    /// Columns of the row that somebody reads: CSV header names, or JSON paths.
    columns: Vec<String>,
    join_columns: Vec<String>,
    slots: Vec<Column>,
    table: JoinTable,
    emits: Vec<Emit>,
}

/// What an expression's slot reads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Column {
    Row(usize),
    Join(usize),
}

#[derive(Clone, Debug)]
struct Emit {
    at: Place,
    when: Option<Program>,
    kind: String,
    source: Program,
    subject: Option<Program>,
    id: Program,
    time: Program,
    broker_time: Option<Program>,
    lon: Option<Program>,
    lat: Option<Program>,
    data: Vec<(String, Program)>,
}

impl Map {
    /// Reads and checks a map; `file` is for messages.
    pub fn compile(text: &str, file: &str) -> Result<Map, Vec<Mistake>> {
        let mut report = Report::new(file);
        let map = yaml::read_yaml(text, &mut report).and_then(|root| Compiler::new(&mut report).map(&root));
        match map {
            Some(map) if report.is_empty() => Ok(map),
            _ => Err(sorted(report.into_mistakes())),
        }
    }

    /// What [`RowView::text`] is asked for.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// Event types that it makes, with the places of their entries.
    pub fn kinds(&self) -> impl Iterator<Item = (&str, Place)> {
        self.emits.iter().map(|e| (e.kind.as_str(), e.at))
    }

    /// Loads the second file (CSV with a header). Needed before `emit` where `join` is set.
    pub fn load_join(&mut self, text: &str) -> Result<(), String> {
        let Some(join) = &self.join else { return Ok(()) };
        self.table = JoinTable::read(join, &self.join_columns, text)?;
        Ok(())
    }

    /// Appends the events of one row.
    pub fn emit(&self, row: &dyn RowView, out: &mut Vec<Emitted>) -> Result<(), String> {
        let joined = match &self.join {
            Some(join) => match row.text(join.on) {
                Some(key) => self.table.row(&key)?,
                None => None,
            },
            None => None,
        };
        let inputs = RowInputs { row, slots: &self.slots, joined };
        for emit in &self.emits {
            if emit.when.as_ref().is_none_or(|w| w.holds(&inputs)) {
                out.push(emit.event(&inputs));
            }
        }
        Ok(())
    }
}

struct RowInputs<'r> {
    row: &'r dyn RowView,
    slots: &'r [Column],
    joined: Option<&'r [Option<String>]>,
}

impl Inputs for RowInputs<'_> {
    fn get(&self, slot: usize) -> Value<'_> {
        let text = match self.slots[slot] {
            Column::Row(i) => self.row.text(i),
            Column::Join(i) => self.joined.and_then(|row| row[i].as_deref()).map(Cow::Borrowed),
        };
        text.map_or(Value::Unknown, Value::Text)
    }
}

impl Emit {
    fn event(&self, inputs: &RowInputs<'_>) -> Emitted {
        let mut json = Vec::with_capacity(256);
        json.extend_from_slice(b"{\"specversion\":\"1.0\"");
        let mut attribute = |name: &str, value: Option<Cow<'_, str>>| {
            if let Some(value) = value {
                json.extend_from_slice(b",\"");
                json.extend_from_slice(name.as_bytes());
                json.extend_from_slice(b"\":");
                write_text(&mut json, &value);
            }
        };
        attribute("id", self.id.eval(inputs).text());
        attribute("type", Some(Cow::Borrowed(&self.kind)));
        attribute("source", self.source.eval(inputs).text());
        attribute("subject", self.subject.as_ref().map(|p| p.eval(inputs)).as_ref().and_then(Value::text));
        let time = self.time.eval(inputs);
        attribute("time", time.text());
        json.extend_from_slice(b",\"data\":{");
        let mut first = true;
        let mut member = |name: &str, value: Value<'_>| {
            if !std::mem::take(&mut first) {
                json.push(b',');
            }
            write_text(&mut json, name);
            json.push(b':');
            write_value(&mut json, &value);
        };
        for (name, program) in [("lon", &self.lon), ("lat", &self.lat)] {
            if let Some(program) = program {
                member(name, degrees(program.eval(inputs)));
            }
        }
        for (name, program) in &self.data {
            member(name, program.eval(inputs));
        }
        json.extend_from_slice(b"}}");
        let broker_time = self.broker_time.as_ref().and_then(|p| instant(&p.eval(inputs)));
        Emitted { json, time: instant(&time), broker_time }
    }
}

fn instant(value: &Value<'_>) -> Option<Timestamp> {
    match value {
        Value::Time(t) => Some(*t),
        Value::Text(s) => Timestamp::parse_rfc3339(s.as_bytes()),
        _ => None,
    }
}

/// Degrees are written as numbers even where the row has them as text.
fn degrees(value: Value<'_>) -> Value<'_> {
    match value {
        Value::Text(s) => s.trim().parse().ok().filter(|n: &f64| n.is_finite()).map_or(Value::Unknown, Value::Num),
        other => other,
    }
}

fn write_value(out: &mut Vec<u8>, value: &Value<'_>) {
    match value {
        Value::Text(s) => write_text(out, s),
        Value::Time(t) => write_text(out, &t.to_string()),
        other => out.extend_from_slice(other.text().as_deref().unwrap_or("null").as_bytes()),
    }
}

/// A JSON string (RFC 8259, section 7).
fn write_text(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    for c in text.chars() {
        match c {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            '\n' => out.extend_from_slice(b"\\n"),
            '\r' => out.extend_from_slice(b"\\r"),
            '\t' => out.extend_from_slice(b"\\t"),
            c if c < ' ' => out.extend_from_slice(format!("\\u{:04x}", c as u32).as_bytes()),
            c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out.push(b'"');
}

struct Compiler<'r> {
    report: &'r mut Report,
    columns: Vec<String>,
    /// `None`: no join is declared.
    join_columns: Option<Vec<String>>,
    slots: Vec<Column>,
}

impl<'r> Compiler<'r> {
    fn new(report: &'r mut Report) -> Self {
        Compiler { report, columns: Vec::new(), join_columns: None, slots: Vec::new() }
    }

    fn map(mut self, root: &Node) -> Option<Map> {
        let keys = Keys::open(root, "a map", &["format", "delimiter", "join", "sort", "broker_time", "emit"], &[], self.report)?;
        let delimiter = self.delimiter(&keys);
        let format = self.format(&keys, delimiter);
        if format == Some(Format::Events) {
            return self.events(&keys);
        }
        if keys.get("broker_time").is_some() {
            self.report
                .add(keys.place("broker_time"), "`broker_time` stands here with `format: events` only: move it into the events of `emit`");
        }
        let join = self.join(&keys);
        let sort = keys.text("sort", self.report).and_then(|text| match text.value.as_str() {
            "time" => Some(Sort::Time),
            "broker_time" => Some(Sort::BrokerTime),
            other => {
                self.report.suggest(
                    text.at,
                    format!("`sort` is `time` or `broker_time`, not `{other}`"),
                    closest(other, ["time", "broker_time"]),
                );
                None
            }
        });
        if let Some((on, _)) = &join {
            self.columns.push(on.clone());
        }
        let entries = keys.list("emit", self.report);
        if entries.is_empty() && !matches!(keys.get("emit"), Some(n) if !matches!(n.kind, yaml::NodeKind::List(_))) {
            self.report.add(keys.place("emit"), "the map emits nothing: write `emit:` and a list of events");
        }
        let emits: Vec<Option<Emit>> = entries.iter().map(|n| self.emit(n)).collect();
        if !self.report.is_empty() {
            return None;
        }
        Some(Map {
            format: format?,
            sort,
            join: join.map(|(_, join)| join),
            arrived: None,
            columns: self.columns,
            join_columns: self.join_columns.unwrap_or_default(),
            slots: self.slots,
            table: JoinTable::default(),
            emits: emits.into_iter().collect::<Option<Vec<_>>>()?,
        })
    }

    /// A map that passes events as they are.
    fn events(&mut self, keys: &Keys<'_>) -> Option<Map> {
        for key in ["join", "sort", "emit"].into_iter().filter(|key| keys.get(key).is_some()) {
            self.report.add(keys.place(key), format!("`format: events` passes each line as it is: remove `{key}`"));
        }
        let help = "the map does not say when an event arrived: write `broker_time: ATTRIBUTE`";
        let name = keys.required("broker_time", help, self.report)?;
        if name.value.is_empty() || !name.value.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()) {
            let what = format!("`{}` is no attribute of a CloudEvent: lower-case letters and digits only", name.value);
            self.report.add(name.at, what);
            return None;
        }
        let arrived = Some(format!("\"{}\":\"", name.value).into_bytes());
        let empty = (Vec::new(), Vec::new(), Vec::new(), JoinTable::default(), Vec::new());
        let (columns, join_columns, slots, table, emits) = empty;
        Some(Map { format: Format::Events, sort: None, join: None, arrived, columns, join_columns, slots, table, emits })
    }

    fn format(&mut self, keys: &Keys<'_>, delimiter: Option<u8>) -> Option<Format> {
        let text = keys.required("format", "the map has no format: write `format: csv`, json, ndjson or events", self.report)?;
        let format = match text.value.as_str() {
            "csv" => Format::Csv { delimiter: delimiter.unwrap_or(b',') },
            "json" => Format::Json,
            "ndjson" => Format::Ndjson,
            "events" => Format::Events,
            other => {
                let names = ["csv", "json", "ndjson", "events"];
                self.report.suggest(text.at, format!("`{other}` is no format: write {}", listed(names)), closest(other, names));
                return None;
            }
        };
        if delimiter.is_some() && !matches!(format, Format::Csv { .. }) {
            self.report.add(keys.place("delimiter"), "only csv has a delimiter: remove it");
        }
        Some(format)
    }

    fn delimiter(&mut self, keys: &Keys<'_>) -> Option<u8> {
        let text = keys.text("delimiter", self.report)?;
        match text.value.as_bytes() {
            [byte] if byte.is_ascii() && !byte.is_ascii_alphanumeric() && !matches!(byte, b'"' | b'\n' | b'\r') => Some(*byte),
            b"\\t" | b"tab" => Some(b'\t'),
            _ => {
                self.report.add(text.at, format!("`delimiter` is one character or `tab`, not `{}`", text.value));
                None
            }
        }
    }

    /// The row's column and the join.
    fn join(&mut self, keys: &Keys<'_>) -> Option<(String, Join)> {
        let node = keys.get("join")?;
        self.join_columns = Some(Vec::new());
        let keys = Keys::open(node, "a join", &["file", "on", "to", "delimiter"], &[], self.report)?;
        let help = "write `join: {file: stations.csv, on: COLUMN, to: COLUMN OF THAT FILE}`";
        let delimiter = self.delimiter(&keys).unwrap_or(b',');
        let mut part = |key: &str| keys.required(key, &format!("the join lacks `{key}`: {help}"), self.report).map(|t| t.value);
        let (file, on, to) = (part("file"), part("on"), part("to"));
        let on = on?;
        let on = on.strip_prefix("row.").unwrap_or(&on).to_owned();
        Some((on, Join { file: file?, on: 0, to: to?, delimiter }))
    }

    fn emit(&mut self, node: &Node) -> Option<Emit> {
        let allowed = ["when", "type", "source", "subject", "id", "time", "broker_time", "lon", "lat", "data"];
        let keys = Keys::open(node, "an event", &allowed, &[], self.report)?;
        let kind = keys.required("type", "the event has no type: write `type: traffic.loop`", self.report);
        let source = self.needed(&keys, "source", "the event has no source: write `source: row.station`");
        let id = self.needed(&keys, "id", "the event has no id: write one that copies share, as in `id: row.station + \"-\" + row.time`");
        let time =
            self.needed(&keys, "time", "the event has no time: write `time: time(row.at, \"%d/%m/%Y %H:%M\", \"Asia/Ho_Chi_Minh\")`");
        let [subject, broker_time, lon, lat] = ["subject", "broker_time", "lon", "lat"].map(|key| self.optional(&keys, key));
        let when = self.optional(&keys, "when");
        if let (Some(program), Some(text)) = (&when, keys.text("when", self.report))
            && !matches!(program.kind(), ValueType::Bool | ValueType::Any)
        {
            self.report.add(text.at, format!("`when` is true or false, `{}` is {}: compare it with something", text.value, program.kind()));
        }
        for (key, program) in [("time", &time), ("broker_time", &broker_time)] {
            if let Some(program) = program
                && matches!(program.kind(), ValueType::Num | ValueType::Bool)
            {
                self.report.add(keys.place(key), format!("`{key}` is a time or an RFC 3339 text, not {}", program.kind()));
            }
        }
        if keys.missing("lon") != keys.missing("lat") {
            self.report.add(
                keys.place(if keys.missing("lat") { "lon" } else { "lat" }),
                "a position needs both `lon` and `lat`: write the other too",
            );
        }
        let mut data = Vec::new();
        for (name, text) in
            keys.entries("data", "`data` is a mapping of names to expressions, as in `speed_kmh: double(row.speed)`", self.report)
        {
            if matches!(name.value.as_str(), "lon" | "lat") && lon.is_some() {
                self.report.add(name.at, format!("`{}` is written from the event's `{}` already: remove one", name.value, name.value));
            }
            data.extend(self.program(&text).map(|p| (name.value, p)));
        }
        let kind = kind?.value;
        Some(Emit { at: keys.place("type"), when, kind, source: source?, subject, id: id?, time: time?, broker_time, lon, lat, data })
    }

    fn needed(&mut self, keys: &Keys<'_>, key: &str, missing: &str) -> Option<Program> {
        let text = keys.required(key, missing, self.report)?;
        self.program(&text)
    }

    fn optional(&mut self, keys: &Keys<'_>, key: &str) -> Option<Program> {
        let text = keys.text(key, self.report)?;
        self.program(&text)
    }

    fn program(&mut self, text: &Text) -> Option<Program> {
        let mut scope = RowScope { columns: &mut self.columns, joined: self.join_columns.as_mut(), slots: &mut self.slots };
        let program = syntax::parse(&text.value).map_err(|e| vec![e]).and_then(|ast| compile_ast(&ast, &text.value, &mut scope));
        match program {
            Ok(program) => Some(program),
            Err(errors) => {
                for error in errors {
                    self.report.suggest(text.place(error.at.start), error.what, error.next);
                }
                None
            }
        }
    }
}

struct RowScope<'c> {
    columns: &'c mut Vec<String>,
    joined: Option<&'c mut Vec<String>>,
    slots: &'c mut Vec<Column>,
}

impl Scope for RowScope<'_> {
    fn variable(&mut self, path: &str) -> Result<Found, Unresolved> {
        let index = |columns: &mut Vec<String>, name: &str| {
            columns.iter().position(|c| c == name).unwrap_or_else(|| {
                columns.push(name.to_owned());
                columns.len() - 1
            })
        };
        let refuse = |what: String, next: Option<String>| Err(Unresolved { what, next });
        let column = match (path.split_once('.'), &mut self.joined) {
            (Some(("row", name)), _) => Column::Row(index(self.columns, name)),
            (Some(("join", name)), Some(joined)) => Column::Join(index(joined, name)),
            (Some(("join", _)), None) => return refuse("the map has no `join`: declare it to read another file's columns".into(), None),
            _ if path == "row" => {
                return refuse("`row` is the whole row: name a column, as in `row.speed` or `row[\"Tốc độ\"]`".into(), None);
            }
            _ => return refuse(format!("a map sees columns as `row.NAME`, there is no `{path}`"), Some(format!("row.{path}"))),
        };
        let slot = self.slots.iter().position(|c| *c == column).unwrap_or_else(|| {
            self.slots.push(column);
            self.slots.len() - 1
        });
        Ok(Found::Slot(slot, ValueType::Text))
    }
}
