//! Where personal data would show: tags, fields, values of cases and titles that come from a path to which a schema gives a class of
//! personal data (`x-personal`).
//!
//! Owns: [`Personal`]. Refuses to know: classes, who may see what, how anything leaves.
//!
//! Invariants
//! 1. Whatever is named here is a value of such a path, or may be one of its values; a count or a number of different ones is not.
//!
//! Called by: definitions (makes it), server (leaves these out of whatever leaves for elsewhere).

use super::case::{TAGS, slot};
use super::{AccumulatorKind, KeySource, Pipeline, RuleArg, RuleVar, Template, TemplatePart, WindowSpec};
use crate::event::decode::Wanted;
use crate::pipeline::case::GaugeKey;
use crate::pipeline::expr::Program;
use std::collections::{BTreeMap, BTreeSet};

/// By name, as they leave.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Personal {
    /// Tags by measurement.
    pub tags: BTreeMap<String, BTreeSet<String>>,
    /// Fields by measurement.
    pub fields: BTreeMap<String, BTreeSet<String>>,
    /// Values by (pipeline, case).
    pub values: BTreeMap<(String, String), BTreeSet<String>>,
    /// (pipeline, case) whose subject is one.
    pub subjects: BTreeSet<(String, String)>,
    /// (pipeline, rule) whose title may name one.
    pub titles: BTreeSet<(String, String)>,
}

/// Asks whether a path of an event type has a class of personal data.
pub type IsPersonal<'a> = &'a dyn Fn(&str, &str) -> bool;

struct Finder<'a> {
    wanted: &'a Wanted,
    is_personal: IsPersonal<'a>,
}

impl Finder<'_> {
    /// Does a program over events of this type read such a path?
    fn reads(&self, kind: &str, program: &Program) -> bool {
        let paths = self.wanted.types.get(kind).map_or(&[][..], Vec::as_slice);
        program.slots().iter().filter_map(|slot| paths.get(*slot)).any(|path| (self.is_personal)(kind, path))
    }

    fn key(&self, kind: &str, key: &KeySource) -> bool {
        matches!(key, KeySource::Value(program) if self.reads(kind, program))
    }

    fn values(&self, pipeline: &Pipeline, case: usize) -> BTreeSet<String> {
        let takes = pipeline.types.iter().filter(|t| t.cases[case].is_some());
        let kinds: Vec<&str> = takes.map(|t| t.kind.as_str()).collect();
        let personal = |path: &&String| kinds.iter().any(|kind| (self.is_personal)(kind, path));
        pipeline.cases[case].values.iter().filter(personal).cloned().collect()
    }

    fn subject(&self, pipeline: &Pipeline, case: usize) -> bool {
        pipeline.types.iter().any(|t| t.cases[case].as_ref().is_some_and(|input| self.key(&t.kind, &input.subject)))
    }

    fn tags(&self, pipeline: &Pipeline, w: usize, spec: &WindowSpec) -> BTreeSet<String> {
        let of_case = spec.gauge.as_ref().map(|g| (self.values(pipeline, g.case), self.subject(pipeline, g.case), g));
        let is = |at: usize| {
            let in_events = pipeline.types.iter().any(|t| {
                let by = t.windows[w].as_ref().and_then(|input| input.by.get(at));
                by.is_some_and(|key| self.key(&t.kind, key))
            });
            let in_case = of_case.as_ref().is_some_and(|(values, subject, gauge)| {
                let Some(GaugeKey::Value(program)) = gauge.by.get(at) else { return false };
                let names = &pipeline.cases[gauge.case].values;
                let slots = program.slots().iter();
                slots
                    .into_iter()
                    .any(|s| (*s == slot::SUBJECT && *subject) || s.checked_sub(slot::VALUES).is_some_and(|v| values.contains(&names[v])))
            });
            in_events || in_case
        };
        spec.tags.iter().enumerate().filter(|(at, _)| is(*at)).map(|(_, tag)| tag.clone()).collect()
    }

    fn fields(&self, pipeline: &Pipeline, w: usize, spec: &WindowSpec) -> BTreeSet<String> {
        let shows = |accumulator: usize| {
            !matches!(spec.accumulators[accumulator], AccumulatorKind::Count | AccumulatorKind::Distinct)
                && pipeline.types.iter().any(|t| {
                    let input = t.windows[w].as_ref().and_then(|input| input.inputs.get(accumulator));
                    input.and_then(|input| input.value.as_ref()).is_some_and(|program| self.reads(&t.kind, program))
                })
        };
        let personal = |field: &&super::FieldSpec| {
            let reads = field.program.slots().iter().filter_map(|slot| spec.reads.get(*slot));
            reads.into_iter().any(|read| shows(read.accumulator))
        };
        spec.fields.iter().filter(personal).map(|f| f.name.clone()).collect()
    }
}

impl Personal {
    pub fn of(pipelines: &[Pipeline], wanted: &Wanted, is_personal: IsPersonal<'_>) -> Personal {
        let finder = Finder { wanted, is_personal };
        let mut personal = Personal::default();
        for pipeline in pipelines {
            for (w, spec) in pipeline.windows.iter().enumerate() {
                personal.tags.insert(spec.measurement.clone(), finder.tags(pipeline, w, spec));
                personal.fields.insert(spec.measurement.clone(), finder.fields(pipeline, w, spec));
            }
            for (c, case) in pipeline.cases.iter().enumerate() {
                let place = (pipeline.name.clone(), case.name.clone());
                if finder.subject(pipeline, c) {
                    personal.subjects.insert(place.clone());
                }
                personal.values.insert(place, finder.values(pipeline, c));
            }
        }
        personal.tags.retain(|_, tags| !tags.is_empty());
        personal.fields.retain(|_, fields| !fields.is_empty());
        personal.values.retain(|_, values| !values.is_empty());
        let titles = pipelines.iter().flat_map(|p| p.heads().map(move |head| (p, head)));
        let titles = titles.filter(|(p, head)| personal.in_title(p, head)).map(|(p, head)| (p.name.clone(), head.name.to_owned()));
        personal.titles = titles.collect();
        personal
    }

    /// A tag of a row.
    pub fn tag(&self, measurement: &str, tag: &str) -> bool {
        self.tags.get(measurement).is_some_and(|tags| tags.contains(tag))
    }

    /// A field of a row.
    pub fn field(&self, measurement: &str, field: &str) -> bool {
        self.fields.get(measurement).is_some_and(|fields| fields.contains(field))
    }

    /// A value of a case.
    pub fn value(&self, pipeline: &str, case: &str, value: &str) -> bool {
        self.values.get(&(pipeline.to_owned(), case.to_owned())).is_some_and(|values| values.contains(value))
    }

    /// The subject of a case.
    pub fn subject(&self, pipeline: &str, case: &str) -> bool {
        self.subjects.contains(&(pipeline.to_owned(), case.to_owned()))
    }

    /// The title of a rule's alerts.
    pub fn title(&self, pipeline: &str, rule: &str) -> bool {
        self.titles.contains(&(pipeline.to_owned(), rule.to_owned()))
    }

    fn in_title(&self, pipeline: &Pipeline, head: &super::RuleHead<'_>) -> bool {
        let Template { vi, en } = head.title;
        let vars = vi.iter().chain(en).filter_map(|part| match part {
            TemplatePart::Var(var) => Some(var),
            TemplatePart::Text(_) => None,
        });
        vars.into_iter().any(|var| self.shows(pipeline, head, var))
    }

    fn shows(&self, pipeline: &Pipeline, head: &super::RuleHead<'_>, var: &RuleVar) -> bool {
        let case = head.rule.and_then(|r| r.case()).and_then(|rule| pipeline.cases.get(rule.case));
        let arg = |arg: &RuleArg| matches!(arg, RuleArg::Var(var) if self.shows(pipeline, head, var));
        match var {
            RuleVar::Field(field) | RuleVar::Previous { field, .. } => {
                head.row.and_then(|row| Some(self.field(&row.measurement, &row.fields.get(*field)?.name))).unwrap_or(false)
            }
            RuleVar::Tag(tag) => match (head.row, case) {
                (Some(row), _) => row.tags.get(*tag).is_some_and(|tag| self.tag(&row.measurement, tag)),
                (None, Some(case)) => TAGS.get(*tag) == Some(&TAGS[0]) && self.subject(&pipeline.name, &case.name),
                (None, None) => false,
            },
            RuleVar::Case(at) => {
                let Some(case) = case else { return false };
                let value = at.checked_sub(slot::VALUES).and_then(|v| case.values.get(v));
                (*at == slot::SUBJECT && self.subject(&pipeline.name, &case.name))
                    || value.is_some_and(|value| self.value(&pipeline.name, &case.name, value))
            }
            RuleVar::Target(args) | RuleVar::Pace(args) => args.iter().any(arg),
            RuleVar::Working(args) => args.iter().any(arg),
            RuleVar::Start | RuleVar::End | RuleVar::Heard | RuleVar::Expected | RuleVar::Area(_) | RuleVar::SourceAttribute(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::definitions::Definitions;

    const SCHEMA: &str = r#"{"properties": {"phone": {"type": "string", "x-personal": "phone"}, "age": {"type": "number", "x-personal": "age"},
        "state": {"type": "string"}, "category": {"type": "string"}, "level": {"type": "number"}}}"#;
    const PIPELINE: &str = "pipeline: p
sector: test
from: [t.a]
out_of_orderness: 1s
lateness: 1s
cases: [{case: c, subject: data.phone, state: data.state, open: [open], closed: [closed]}]
windows:
  - {measurement: calls, every: 1m, by: [area, data.phone, data.category], fields: {n: count(), oldest: max(data.age), mean: mean(data.level), callers: distinct(data.phone), ratio: last(data.level) / last(data.age)}}
  - {measurement: plain, every: 1m, by: [area, data.category], fields: {n: count(), mean: mean(data.level)}}
  - {measurement: waiting, every: 1m, gauge: c, by: [area, data.phone, data.category], fields: {n: count()}}
alerts:
  - {alert: named, on: calls, when: n > 3, severity: minor, title: {vi: \"{phone}\", en: \"{n}\"}}
  - {alert: old, on: calls, when: n > 3, severity: minor, title: {vi: \"{n}\", en: \"{oldest}\"}}
  - {alert: plain, on: calls, when: n > 3, severity: minor, title: {vi: \"{n}\", en: \"{category}\"}}
  - {alert: waits, case: c, in: open, for: 1h, severity: minor, title: {vi: \"{subject}\", en: \"x\"}}
";

    #[test]
    fn what_comes_from_a_path_with_a_class_of_personal_data_is_named() {
        let files = [("pipelines/p.yaml", PIPELINE), ("schemas/t.a.json", SCHEMA)];
        let files = files.into_iter().map(|(path, text)| (path.to_owned(), text.to_owned())).collect();
        let personal = Definitions { files }.compile(None).unwrap().personal;
        let names = |list: &std::collections::BTreeSet<String>| list.iter().cloned().collect::<Vec<_>>();
        assert_eq!(
            personal.tags.iter().map(|(m, t)| (m.as_str(), names(t))).collect::<Vec<_>>(),
            [("calls", vec!["phone".to_owned()]), ("waiting", vec!["phone".to_owned()])]
        );
        assert_eq!(
            personal.fields.iter().map(|(m, f)| (m.as_str(), names(f))).collect::<Vec<_>>(),
            [("calls", vec!["oldest".to_owned(), "ratio".to_owned()])]
        );
        assert!(personal.value("p", "c", "data.phone") && !personal.value("p", "c", "data.category") && personal.subject("p", "c"));
        let titles: Vec<&str> = personal.titles.iter().map(|(_, rule)| rule.as_str()).collect();
        assert_eq!(titles, ["named", "old", "waits"]);
    }
}
