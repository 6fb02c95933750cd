//! Alerts on absent sources.
//!
//! Owns: which types they may watch, what their titles may name. Refuses to know: which sources are there, when they fall silent.
//!
//! Invariants
//! 1. The type is one that the pipeline reads.
//! 2. Its changes have the tags `area` and `source`, and no fields.
//!
//! Called by: compile.

use super::super::mistake::{closest, listed};
use super::super::spec::absence::AbsenceYaml;
use super::super::{AbsenceSpec, Template, WindowSpec};
use super::rule::RuleScope;
use super::{Compiler, Version};
use crate::time::{Alignment, Every, Span};

impl Compiler<'_> {
    pub(super) fn absences(&mut self, kinds: &[String], windows: &[WindowSpec]) -> Vec<AbsenceSpec> {
        let spec = self.spec;
        spec.absences.iter().filter_map(|yaml| self.absence(yaml, kinds, windows)).collect()
    }

    fn absence(&mut self, yaml: &AbsenceYaml, kinds: &[String], windows: &[WindowSpec]) -> Option<AbsenceSpec> {
        let name = yaml.alert.as_ref().and_then(|t| self.name(t, "an alert"));
        self.check_sop(yaml.sop.as_ref());
        let text = yaml.absent.as_ref()?;
        if !kinds.contains(&text.value) {
            let next = closest(&text.value, kinds.iter().map(String::as_str));
            let has = if next.is_some() { String::new() } else { format!("write {}, or ", listed(kinds.iter().map(String::as_str))) };
            self.report.suggest(text.at, format!("this pipeline does not read `{}`: {has}add it to `from`", text.value), next);
            return None;
        }
        let row = row_of(name.as_deref().unwrap_or_default());
        let known = self.known;
        let mut title = |text: Option<&super::Text>| {
            let scope = RuleScope { window: &row, broken: &[], known, vars: &mut Vec::new() };
            text.map(|t| self.template(t, &scope)).unwrap_or_default()
        };
        let title = Template { vi: title(yaml.vi.as_ref()), en: title(yaml.en.as_ref()) };
        let (name, after, severity) = (name?, yaml.after?, yaml.severity?);
        let mut version = Version::of("absence");
        version.add("name", &name).add("type", &text.value).add("after", &after.to_string()).add("severity", &format!("{severity:?}"));
        // where the source's figures are: what a page draws beside the alert
        let shown = windows.iter().position(|w| w.source_tag.is_some()).or((!windows.is_empty()).then_some(0));
        Some(AbsenceSpec {
            name,
            kind: text.value.clone(),
            after,
            severity,
            title,
            sop: yaml.sop.as_ref().map(|t| t.value.clone()),
            row,
            shown,
            version: version.hex(),
        })
    }
}

/// The shape of its changes.
fn row_of(name: &str) -> WindowSpec {
    WindowSpec {
        measurement: name.to_owned(),
        alignment: Alignment::new(Every::Fixed(Span::seconds(1)), jiff::tz::TimeZone::UTC),
        early: None,
        gauge: None,
        fill: false,
        tags: vec!["area".to_owned(), "source".to_owned()],
        area_tag: Some(0),
        source_tag: Some(1),
        accumulators: Vec::new(),
        reads: Vec::new(),
        fields: Vec::new(),
        version: String::new(),
    }
}
