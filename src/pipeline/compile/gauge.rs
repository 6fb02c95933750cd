//! Gauges: windows that count the open cases as of their end.
//!
//! Owns: the aggregates of a gauge and its keys. Refuses to know: histories of cases, when rows fire.
//!
//! Invariants
//! 1. A gauge takes no events: `accumulators` and `reads` are empty, its fields read `GaugeSpec::aggregates`.
//! 2. Equal aggregates are one.
//!
//! Called by: compile.

use super::super::case::{GaugeAggregate, GaugeKey, GaugeRead, GaugeSpec};
use super::super::expr::syntax::{Ast, Kind};
use super::super::expr::{ExprError, Found, Program, Scope, Unresolved, ValueType, compile_ast};
use super::super::mistake::{closest, listed};
use super::super::spec::WindowYaml;
use super::super::yaml::Text;
use super::super::{FieldSpec, KeySource, WindowSpec};
use super::case::{CaseDraft, Stands};
use super::window::Key;
use super::{Compiler, Content, Schemas, Version};
use crate::event::decode::Wanted;
use crate::time::Alignment;
use std::ops::Range;

const AGGREGATES: [&str; 6] = ["count", "countif", "sum", "mean", "min", "max"];

/// A field of a gauge under compilation: aggregates become slots.
struct GaugeScope<'a, 't> {
    draft: &'a mut CaseDraft<'t>,
    schemas: &'a dyn Schemas,
    wanted: &'a mut Wanted,
    aggregates: &'a mut Vec<GaugeAggregate>,
}

impl Scope for GaugeScope<'_, '_> {
    fn variable(&mut self, path: &str) -> Result<Found, Unresolved> {
        let what = format!("a row counts many cases: say which of `{path}`, as in countif({path}), mean({path}) or max({path})");
        Err(Unresolved { what, next: None })
    }

    fn call(&mut self, name: &str, args: &[Ast], at: &Range<usize>) -> Option<Result<Found, ExprError>> {
        let place = at.start..(at.start + name.len()).min(at.end);
        let read = match name {
            "count" | "countif" => GaugeRead::Count,
            "sum" => GaugeRead::Sum,
            "mean" => GaugeRead::Mean,
            "min" => GaugeRead::Min,
            "max" => GaugeRead::Max,
            _ if super::window::is_aggregate(name) => {
                return Some(Err(ExprError::new(place, format!("a gauge has no `{name}`: it has {}", listed(AGGREGATES)))));
            }
            _ => return None,
        };
        let (value, condition) = match (name, args) {
            ("count", []) => (None, None),
            ("count", [condition]) => {
                return Some(Err(ExprError::new(place, format!("`count` counts all: to count some write `countif({condition})`"))));
            }
            ("countif", [condition]) => (None, Some(condition)),
            ("sum" | "mean" | "min" | "max", [value]) => (Some(value), None),
            ("sum" | "mean" | "min" | "max", [value, condition]) => (Some(value), Some(condition)),
            _ => {
                let takes = if read == GaugeRead::Count {
                    "one condition, as in `countif(overdue)`"
                } else {
                    "a value and perhaps a condition, as in `max(age_h)`"
                };
                return Some(Err(ExprError::new(place, format!("`{name}` takes {takes}"))));
            }
        };
        Some(self.aggregate(read, value, condition))
    }

    fn functions(&self) -> &'static [&'static str] {
        &AGGREGATES
    }
}

impl GaugeScope<'_, '_> {
    fn aggregate(&mut self, read: GaugeRead, value: Option<&Ast>, condition: Option<&Ast>) -> Result<Found, ExprError> {
        let value = value.map(|ast| self.argument(ast, ValueType::Num)).transpose()?;
        let condition = condition.map(|ast| self.argument(ast, ValueType::Bool)).transpose()?;
        let same = |a: &Option<Program>, b: &Option<Program>| a.as_ref().map(Program::canonical) == b.as_ref().map(Program::canonical);
        let known = self.aggregates.iter().position(|a| a.read == read && same(&a.value, &value) && same(&a.condition, &condition));
        let slot = known.unwrap_or_else(|| {
            self.aggregates.push(GaugeAggregate { read, value, condition });
            self.aggregates.len() - 1
        });
        Ok(Found::Slot(slot, ValueType::Num))
    }

    fn argument(&mut self, ast: &Ast, wanted: ValueType) -> Result<Program, ExprError> {
        let mut scope = self.draft.scope(self.schemas, self.wanted, Stands::Field);
        let program = compile_ast(ast, &ast.to_string(), &mut scope).map_err(|mut errors| errors.remove(0))?;
        if program.kind() != wanted && program.kind() != ValueType::Any {
            let what = match wanted {
                ValueType::Bool => format!("a condition is true or false, `{ast}` is {}: compare it with something", program.kind()),
                _ => format!("aggregates take numbers, `{ast}` is {}: write countif(…) to count some", program.kind()),
            };
            return Err(ExprError::new(ast.at.clone(), what));
        }
        Ok(program)
    }
}

impl Compiler<'_> {
    pub(super) fn gauge(&mut self, yaml: &WindowYaml, content: &Content<'_>, cases: &mut [CaseDraft<'_>]) -> Option<WindowSpec> {
        let measurement = yaml.measurement.as_ref().and_then(|t| self.name(t, "a measurement"));
        let (tags, keys) = self.keys(yaml);
        let case = self.case_named(yaml.gauge.as_ref()?, cases)?;
        let draft = &mut cases[case];
        let by: Vec<GaugeKey> = keys.iter().filter_map(|key| self.gauge_key(key, draft)).collect();
        let mut aggregates = Vec::new();
        let mut fields = Vec::new();
        for (name, text) in &yaml.fields {
            let name = self.field_name(name, &tags);
            fields.extend(self.gauge_field(name, text, draft, &mut aggregates));
        }
        let every = yaml.every?;
        let mut version = Version::of("gauge");
        version.add("measurement", measurement.as_deref()?).add("every", &format!("{every:?}")).add("zone", &content.zone.0);
        version.add("case", &draft.spec.terms);
        for (tag, key) in tags.iter().zip(&keys) {
            version.add("tag", tag).add("by", &key.canonical());
        }
        for field in &fields {
            version.add("field", &field.name).add("value", field.program.canonical());
        }
        let position = |tag: &str| tags.iter().position(|t| t == tag);
        Some(WindowSpec {
            measurement: measurement?,
            alignment: Alignment::new(every, content.zone.1.clone()),
            early: None,
            fill: false,
            area_tag: position("area"),
            source_tag: position("source"),
            accumulators: Vec::new(),
            reads: Vec::new(),
            fields,
            gauge: Some(GaugeSpec { case, by, aggregates }),
            version: version.hex(),
            tags,
        })
    }

    /// The place of a case of this file.
    pub(super) fn case_named(&mut self, text: &Text, cases: &[CaseDraft<'_>]) -> Option<usize> {
        let found = cases.iter().position(|c| c.spec.name == text.value);
        let declared: Vec<&str> = self.spec.cases.iter().filter_map(|c| c.case.as_ref()).map(|t| t.value.as_str()).collect();
        // a case with mistakes of its own is not there to check against
        if found.is_none() && !declared.contains(&text.value.as_str()) {
            let next = closest(&text.value, declared.iter().copied());
            let has = match (next.is_some(), declared.is_empty()) {
                (true, _) => String::new(),
                (_, true) => ": declare it under `cases:`".to_owned(),
                _ => format!(": write {}", listed(declared)),
            };
            self.report.suggest(text.at, format!("this file has no case `{}`{has}", text.value), next);
        }
        found
    }

    fn gauge_key(&mut self, key: &Key<'_>, draft: &mut CaseDraft<'_>) -> Option<GaugeKey> {
        let (text, ast) = match key {
            Key::Ready(KeySource::Area, _) => return Some(GaugeKey::Area),
            Key::Ready(_, name) => {
                let ast = Ast { at: 0..0, kind: Kind::Path((*name).to_owned()) };
                let program = compile_ast(&ast, name, &mut draft.scope(self.schemas, self.wanted, Stands::Key));
                return program.ok().map(GaugeKey::Value);
            }
            Key::Expression(text, ast) => (text, ast),
        };
        let program = self.case_program(text, ast, draft, Stands::Key)?;
        if program.kind() == ValueType::Time {
            self.report.add(text.place(ast.at.start), format!("a key is a text, number or truth, `{ast}` is a time"));
        }
        Some(GaugeKey::Value(program))
    }

    fn gauge_field(
        &mut self,
        name: Option<String>,
        text: &Text,
        draft: &mut CaseDraft<'_>,
        aggregates: &mut Vec<GaugeAggregate>,
    ) -> Option<FieldSpec> {
        let ast = self.parse(text)?;
        let mut scope = GaugeScope { draft, schemas: self.schemas, wanted: self.wanted, aggregates };
        let program = match compile_ast(&ast, &text.value, &mut scope) {
            Ok(program) => program,
            Err(errors) => {
                self.report_errors(text, errors);
                return None;
            }
        };
        if !matches!(program.kind(), ValueType::Num | ValueType::Any) {
            self.report.add(text.at, format!("a field is a number, `{ast}` is {}", program.kind()));
            return None;
        }
        if program.slots().is_empty() {
            self.report.add(text.at, format!("`{ast}` counts no case: write an aggregate, as in `count()`"));
            return None;
        }
        let integer = matches!(&ast.kind, Kind::Call(name, _) if name == "count" || name == "countif");
        let unit = if matches!(&ast.kind, Kind::Call(_, args) if args.first().is_some_and(|a| a.kind == Kind::Path("age_h".into()))) {
            "h"
        } else {
            ""
        };
        Some(FieldSpec { name: name?, program, integer, unit: unit.to_owned() })
    }
}
