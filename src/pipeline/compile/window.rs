//! Windows: keys, aggregates lowered to accumulators, fields.
//!
//! Owns: the aggregates' names and signatures, sharing of accumulators, defaults of T6. Refuses to know: how accumulators count.
//!
//! Invariants
//! 1. Aggregates of the same value and condition share one accumulator wherever its state serves both.
//! 2. Accumulators stand in the order of their first use in `fields`: equal version, equal state.
//! 3. Every type that the window takes has an input for every accumulator; a path that it does not have is absent.
//!
//! Called by: compile.

use super::super::expr::syntax::{Ast, Kind};
use super::super::expr::{ExprError, Found, Program, Scope, Unresolved, ValueType};
use super::super::mistake::closest;
use super::super::spec::{ByYaml, WindowYaml};
use super::super::yaml::Text;
use super::super::{AccumulatorInput, AccumulatorKind, AggregateRead, FieldSpec, KeySource, Read, WindowInput, WindowSpec};
use super::event::Role;
use super::{Compiler, Content, Version};
use crate::time::{Alignment, Every, NANOS_PER_SECOND, Span};
use jiff::tz::TimeZone;
use std::ops::Range;

/// Aggregates by name, for suggestions; any p1 to p99 is one too.
pub const AGGREGATES: [&str; 15] =
    ["count", "countif", "sum", "mean", "min", "max", "first", "last", "distinct", "increase", "p50", "p75", "p90", "p95", "p99"];

/// Names that rows have anyway or that rules read.
const RESERVED: [&str; 8] = ["revision", "state", "heard", "expected", "approx", "time", "start", "end"];

/// Windows that an event may lie in.
const MAX_OVERLAP: i64 = 1_000;

/// Whether expressions call an aggregate by this name.
pub fn is_aggregate(name: &str) -> bool {
    AGGREGATES.contains(&name) || quantile(name).is_some()
}

/// "p95" → 0.95.
fn quantile(name: &str) -> Option<f64> {
    let digits = name.strip_prefix('p').filter(|d| (1..=2).contains(&d.len()) && d.bytes().all(|b| b.is_ascii_digit()))?;
    digits.parse::<u32>().ok().filter(|n| *n > 0 && !digits.starts_with('0')).map(|n| f64::from(n) / 100.0)
}

/// One accumulator to be: compiled for each type when all fields are known.
struct Draft<'t> {
    kind: AccumulatorKind,
    value: Option<Ast>,
    condition: Option<Ast>,
    /// Where it was written, for places.
    text: &'t Text,
    /// Canonical value and condition.
    key: (String, String),
}

/// A window's field under compilation: aggregates become reads.
struct FieldScope<'t, 'd> {
    text: &'t Text,
    drafts: &'d mut Vec<Draft<'t>>,
    reads: &'d mut Vec<AggregateRead>,
}

impl Scope for FieldScope<'_, '_> {
    fn variable(&mut self, path: &str) -> Result<Found, Unresolved> {
        let what = format!("a row has one value for many events: say which of `{path}`, as in sum({path}), mean({path}) or last({path})");
        Err(Unresolved { what, next: None })
    }

    fn call(&mut self, name: &str, args: &[Ast], at: &Range<usize>) -> Option<Result<Found, ExprError>> {
        let place = at.start..(at.start + name.len()).min(at.end);
        let refuse = |what: String, next: Option<&str>| Some(Err(ExprError { at: place.clone(), what, next: next.map(str::to_owned) }));
        let (kind, read) = match name {
            "count" if args.is_empty() => (AccumulatorKind::Count, Read::Count),
            "count" => return refuse(format!("`count` counts all events: to count some write `countif({})`", args[0]), None),
            "countif" if args.len() == 1 => (AccumulatorKind::Count, Read::Count),
            "countif" => return refuse("`countif` takes one condition, as in `countif(data.status == \"ok\")`".into(), None),
            "sum" => (AccumulatorKind::Stats, Read::Sum),
            "mean" => (AccumulatorKind::Stats, Read::Mean),
            "min" => (AccumulatorKind::Stats, Read::Min),
            "max" => (AccumulatorKind::Stats, Read::Max),
            "first" => (AccumulatorKind::First, Read::Value),
            "last" => (AccumulatorKind::Last, Read::Value),
            "distinct" => (AccumulatorKind::Distinct, Read::Distinct),
            "increase" => (AccumulatorKind::Steps, Read::Increase),
            "avg" | "average" => return refuse(format!("there is no aggregate `{name}`"), Some("mean")),
            "median" => return refuse("there is no aggregate `median`".into(), Some("p50")),
            _ => match quantile(name) {
                Some(q) => (AccumulatorKind::Values, Read::Quantile(q)),
                None => return None,
            },
        };
        let (value, condition) = match (kind, args) {
            (AccumulatorKind::Count, args) => (None, args.first()),
            (_, [value]) => (Some(value), None),
            (_, [value, condition]) => (Some(value), Some(condition)),
            _ => {
                return refuse(
                    format!("`{name}` takes a value and perhaps a condition, as in `{name}(data.x)` or `{name}(data.x, data.ok)`"),
                    None,
                );
            }
        };
        let accumulator = self.accumulator(kind, value, condition);
        let read = AggregateRead { accumulator, read };
        let slot = self.reads.iter().position(|r| *r == read).unwrap_or_else(|| {
            self.reads.push(read);
            self.reads.len() - 1
        });
        Some(Ok(Found::Slot(slot, ValueType::Num)))
    }

    fn functions(&self) -> &'static [&'static str] {
        &AGGREGATES
    }
}

impl FieldScope<'_, '_> {
    fn accumulator(&mut self, kind: AccumulatorKind, value: Option<&Ast>, condition: Option<&Ast>) -> usize {
        let canonical = |ast: Option<&Ast>| ast.map(Ast::to_string).unwrap_or_default();
        let key = (canonical(value), canonical(condition));
        if let Some(same) = self.drafts.iter().position(|d| d.kind == kind && d.key == key) {
            return same;
        }
        self.drafts.push(Draft { kind, value: value.cloned(), condition: condition.cloned(), text: self.text, key });
        self.drafts.len() - 1
    }
}

/// A key of the window as parsed.
pub(super) enum Key<'t> {
    Ready(KeySource, &'static str),
    Expression(&'t Text, Ast),
}

impl Compiler<'_> {
    /// The window and, for each type of the pipeline, its input.
    pub(super) fn window(&mut self, yaml: &WindowYaml, content: &Content<'_>) -> Option<(WindowSpec, Vec<Option<WindowInput>>)> {
        let measurement = yaml.measurement.as_ref().and_then(|t| self.name(t, "a measurement"));
        let early = self.early(yaml);
        let kinds = self.taken_kinds(&yaml.from, content.kinds);
        let filter = yaml.filter.as_ref().and_then(|t| self.parse(t).map(|ast| (t, ast)));
        let (tags, keys) = self.keys(yaml);
        let mut drafts = Vec::new();
        let mut reads = Vec::new();
        let mut fields = Vec::new();
        for (name, text) in &yaml.fields {
            let name = self.field_name(name, &tags);
            if let Some(field) = self.field(name, text, &kinds, &mut drafts, &mut reads) {
                fields.push(field);
            }
        }
        let mut inputs = Vec::with_capacity(content.kinds.len());
        for kind in content.kinds {
            inputs.push(match kinds.contains(kind) {
                true => Some(self.input(kind, &kinds, filter.as_ref(), &keys, &drafts)),
                false => None,
            });
        }
        // nothing can be checked against a window without fields
        if yaml.fields.is_empty() {
            return None;
        }
        let every = yaml.every?;
        let alignment = self.alignment(yaml, every, &content.zone.1)?;
        let mut version = Version::of("window");
        version.add("measurement", measurement.as_deref()?).add("every", &format!("{every:?}")).add("zone", &content.zone.0);
        if alignment.is_hopping() {
            version.add("period", &format!("{:?}", alignment.period()));
        }
        if yaml.fill {
            version.add("fill", "0");
        }
        version.add("from", &super::sorted_names(&kinds)).add("where", content.filter.as_deref().unwrap_or(""));
        version.add("window where", &filter.as_ref().map(|(_, ast)| ast.to_string()).unwrap_or_default());
        for (tag, key) in tags.iter().zip(&keys) {
            version.add("tag", tag).add("by", &key.canonical());
        }
        for field in &fields {
            version.add("field", &field.name).add("value", field.program.canonical());
        }
        let position = |tag: &str| tags.iter().position(|t| t == tag);
        let window = WindowSpec {
            measurement: measurement?,
            alignment,
            early,
            fill: yaml.fill,
            area_tag: position("area"),
            source_tag: position("source"),
            accumulators: drafts.iter().map(|d| d.kind).collect(),
            reads,
            fields,
            gauge: None,
            version: version.hex(),
            tags,
        };
        Some((window, inputs))
    }

    /// Windows of `every`, or hopping ones of `period`.
    fn alignment(&mut self, yaml: &WindowYaml, every: Every, zone: &TimeZone) -> Option<Alignment> {
        let Some((at, period)) = yaml.period else {
            return Some(Alignment::new(every, zone.clone()));
        };
        let alignment = Alignment::hopping(every, period, zone.clone());
        let what = if alignment.is_none() && period.nominal() < every.nominal() {
            "`period` is shorter than `every`: events between two windows would count in none; make it `every` or longer".to_owned()
        } else if alignment.is_none() {
            "`period` and `every` must both be fixed (s, m, h), both days or weeks, or both months: write 30d instead of 1mo".to_owned()
        } else if period.nominal().0 > every.nominal().0 * MAX_OVERLAP {
            let (period, every) = (period.nominal().0, every.nominal().0);
            let least = Span::seconds(period / MAX_OVERLAP / NANOS_PER_SECOND + 1);
            let count = period / every;
            format!(
                "each event would lie in {count} windows, at most {MAX_OVERLAP} may be: write `every: {least}` or more, or a shorter `period`"
            )
        } else {
            return alignment;
        };
        self.report.add(at, what);
        None
    }

    /// T6: windows of an hour or more publish early rows.
    fn early(&mut self, yaml: &WindowYaml) -> Option<Span> {
        let length = yaml.period.map(|(_, period)| period).or(yaml.every).map(Every::nominal);
        match (yaml.early, length) {
            (Some((at, early)), Some(length)) if early >= length => {
                self.report.add(at, format!("`early: {early}` is not shorter than the window ({length}): shorten or remove it"));
                None
            }
            (Some((_, early)), _) => Some(early),
            (None, Some(length)) if length >= Span::hours(1) => Some(Span::minutes(1)),
            _ => None,
        }
    }

    /// The types that a window or case takes: all of the pipeline's, or those that it names.
    pub(super) fn taken_kinds(&mut self, from: &[Text], kinds: &[String]) -> Vec<String> {
        let mut taken = Vec::new();
        for text in from {
            match kinds.contains(&text.value) {
                true => taken.push(text.value.clone()),
                false => {
                    let next = closest(&text.value, kinds.iter().map(String::as_str));
                    self.report.suggest(text.at, format!("`{}` is not among the pipeline's `from`: add it there", text.value), next);
                }
            }
        }
        if from.is_empty() { kinds.to_vec() } else { taken }
    }

    pub(super) fn keys<'t>(&mut self, yaml: &'t WindowYaml) -> (Vec<String>, Vec<Key<'t>>) {
        let mut tags: Vec<String> = Vec::new();
        let mut keys = Vec::new();
        for by in &yaml.by {
            let (at, tag, key) = match by {
                ByYaml::Path(text) => {
                    let ready = match text.value.as_str() {
                        "area" => Some(Key::Ready(KeySource::Area, "area")),
                        "source" => Some(Key::Ready(KeySource::Source, "source")),
                        "subject" => Some(Key::Ready(KeySource::Subject, "subject")),
                        "type" => Some(Key::Ready(KeySource::Kind, "type")),
                        _ => None,
                    };
                    match ready {
                        Some(key) => (text.at, Some(text.value.clone()), key),
                        None => {
                            let Some(ast) = self.parse(text) else { continue };
                            (text.at, self.path_tag(text, &ast), Key::Expression(text, ast))
                        }
                    }
                }
                ByYaml::Named(name, text) => {
                    let Some(ast) = self.parse(text) else { continue };
                    (name.at, self.tag_name(name), Key::Expression(text, ast))
                }
            };
            let Some(tag) = tag else { continue };
            if tags.contains(&tag) {
                self.report.add(at, format!("two keys are named `{tag}`: name one otherwise, as in `{tag}_2: data.{tag}`"));
                continue;
            }
            tags.push(tag);
            keys.push(key);
        }
        (tags, keys)
    }

    /// The last segment of a path names the tag.
    fn path_tag(&mut self, text: &Text, ast: &Ast) -> Option<String> {
        let Kind::Path(path) = &ast.kind else {
            self.report.add(text.at, format!("an expression in `by` needs a name: write `name: {ast}`"));
            return None;
        };
        let last = path.rsplit('.').next().unwrap_or(path);
        let mut name = text.clone();
        name.value = last.to_owned();
        self.tag_name(&name)
    }

    fn tag_name(&mut self, text: &Text) -> Option<String> {
        let name = self.name(text, "a key")?;
        if RESERVED.contains(&name.as_str()) {
            self.report
                .add(text.at, format!("`{name}` is a name that rows have anyway: name the key otherwise, as in `{name}_of: data.{name}`"));
            return None;
        }
        if matches!(name.as_str(), "area" | "source") {
            self.report
                .add(text.at, format!("the key `{name}` is the event's own {name}: write just `{name}`, or name this key otherwise"));
            return None;
        }
        Some(name)
    }

    pub(super) fn field_name(&mut self, text: &Text, tags: &[String]) -> Option<String> {
        let name = self.name(text, "a field")?;
        if RESERVED.contains(&name.as_str()) || matches!(name.as_str(), "area" | "source") {
            self.report.add(text.at, format!("`{name}` is a name that rows have anyway: name the field otherwise"));
            return None;
        }
        if tags.contains(&name) {
            self.report.add(text.at, format!("`{name}` is a key of this window already: name the field otherwise"));
            return None;
        }
        Some(name)
    }

    fn field<'t>(
        &mut self,
        name: Option<String>,
        text: &'t Text,
        kinds: &[String],
        drafts: &mut Vec<Draft<'t>>,
        reads: &mut Vec<AggregateRead>,
    ) -> Option<FieldSpec> {
        let ast = self.parse(text)?;
        let program = self.compile(text, &ast, &text.value, &mut FieldScope { text, drafts, reads })?;
        if !matches!(program.kind(), ValueType::Num | ValueType::Any) {
            let hint = if program.kind() == ValueType::Bool { format!(": write `{ast} ? 1 : 0`") } else { String::new() };
            self.report.add(text.at, format!("a field is a number, `{ast}` is {}{hint}", program.kind()));
            return None;
        }
        if program.slots().is_empty() {
            self.report.add(text.at, format!("`{ast}` reads no event: write an aggregate, as in `count()`"));
            return None;
        }
        let (integer, unit) = match &ast.kind {
            Kind::Call(name, _) if matches!(name.as_str(), "count" | "countif" | "distinct") => (true, String::new()),
            _ => (false, self.unit_of(&ast, kinds).unwrap_or_default()),
        };
        Some(FieldSpec { name: name?, program, integer, unit })
    }

    /// The unit of an aggregate's path where all types that have it agree.
    pub(super) fn unit(&self, args: &[Ast], kinds: &[String]) -> String {
        let Some(Kind::Path(path)) = args.first().map(|a| &a.kind) else {
            return String::new();
        };
        let mut units = kinds.iter().map(|k| self.schemas.path(k, path)).filter(|p| p.exists != Some(false)).map(|p| p.unit);
        let first = units.next().unwrap_or_default();
        if units.all(|u| u == first) { first } else { String::new() }
    }

    fn input(
        &mut self,
        kind: &str,
        kinds: &[String],
        filter: Option<&(&Text, Ast)>,
        keys: &[Key<'_>],
        drafts: &[Draft<'_>],
    ) -> WindowInput {
        let filter = filter.and_then(|(text, ast)| self.condition(text, ast, kind, kinds, Role::Where));
        let mut by = Vec::with_capacity(keys.len());
        for key in keys {
            match key {
                Key::Ready(source, _) => by.push(source.clone()),
                Key::Expression(text, ast) => {
                    if let Some(program) = self.event_program(text, ast, kind, kinds, Role::Key) {
                        if program.kind() == ValueType::Time {
                            self.report.add(text.place(ast.at.start), format!("a key is a text, number or truth, `{ast}` is a time"));
                        }
                        by.push(KeySource::Value(program));
                    }
                }
            }
        }
        let mut inputs = Vec::with_capacity(drafts.len());
        for draft in drafts {
            let value = draft.value.as_ref().and_then(|ast| match draft.kind {
                // any type of value can differ
                AccumulatorKind::Distinct => self.event_program(draft.text, ast, kind, kinds, Role::Argument),
                _ => self.aggregated(draft.text, ast, kind, kinds),
            });
            let condition = draft.condition.as_ref().and_then(|ast| self.condition(draft.text, ast, kind, kinds, Role::Argument));
            inputs.push(AccumulatorInput { value, condition });
        }
        WindowInput { filter, by, inputs }
    }

    fn aggregated(&mut self, text: &Text, ast: &Ast, kind: &str, kinds: &[String]) -> Option<Program> {
        let program = self.event_program(text, ast, kind, kinds, Role::Argument)?;
        if !matches!(program.kind(), ValueType::Num | ValueType::Any) {
            let hint = match program.kind() {
                ValueType::Text => format!(": write double({ast}), countif({ast} == \"…\") or distinct({ast})"),
                ValueType::Bool => format!(": write countif({ast})"),
                _ => String::new(),
            };
            self.report.add(text.place(ast.at.start), format!("aggregates take numbers, `{ast}` is {}{hint}", program.kind()));
        }
        Some(program)
    }
}

impl Key<'_> {
    pub(super) fn canonical(&self) -> String {
        match self {
            Key::Ready(_, name) => (*name).to_owned(),
            Key::Expression(_, ast) => ast.to_string(),
        }
    }
}
