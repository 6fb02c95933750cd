//! Alerts on cases: a state that lasts, or a condition such as `overdue`.
//!
//! Owns: what such an alert may say, its title. Refuses to know: histories of cases, when it fires.
//!
//! Invariants
//! 1. `when` reads the slots of the case; without `when` it is true and the state alone decides.
//! 2. `version` covers the case's terms: another limit is another rule (D2).
//!
//! Called by: compile/rule.rs.

use super::super::case::TAGS;
use super::super::expr::syntax::{Ast, Kind};
use super::super::expr::{Found, Program, Scope, Unresolved};
use super::super::mistake::{closest, listed};
use super::super::spec::{AlertYaml, CaseAlertYaml};
use super::super::yaml::Text;
use super::super::{CaseRule, RuleSpec, RuleVar, Template, Watches};
use super::case::{CaseDraft, Stands};
use super::clause::clauses;
use super::{AREA_VARS, Compiler, NO_CALENDAR, Version};
use crate::time::Span;
use crate::time::working::Length;

impl Compiler<'_> {
    pub(super) fn case_rule(&mut self, yaml: &AlertYaml, on: &CaseAlertYaml, cases: &mut [CaseDraft<'_>]) -> Option<RuleSpec> {
        let name = yaml.alert.as_ref().and_then(|t| self.name(t, "an alert"));
        if matches!(on.hold, Length::Working(_)) && self.known.no_calendar {
            self.report.add(on.case.at, NO_CALENDAR);
        }
        let case = self.case_named(&on.case, cases)?;
        let state = on.state.as_ref().and_then(|text| self.case_state(text, &cases[case]));
        let draft = &mut cases[case];
        let when = match &yaml.when {
            Some(text) => self.case_condition(text, draft),
            None => {
                let always = Ast { at: 0..0, kind: Kind::Bool(true) };
                let shown = on.state.as_ref().map_or(String::new(), |s| format!("state == \"{}\"", s.value));
                super::super::expr::compile_ast(&always, &shown, &mut draft.scope(self.schemas, self.wanted, Stands::Alert)).ok()
            }
        };
        let mut scope = draft.scope(self.schemas, self.wanted, Stands::Alert);
        let clauses = yaml.when.as_ref().map(|t| clauses(&t.value, &mut scope)).unwrap_or_default();
        let title = Template {
            vi: yaml.vi.as_ref().map(|t| self.case_template(t, draft)).unwrap_or_default(),
            en: yaml.en.as_ref().map(|t| self.case_template(t, draft)).unwrap_or_default(),
        };
        let (name, when, severity) = (name?, when?, yaml.severity?);
        if on.state.is_some() && state.is_none() {
            return None;
        }
        let mut version = Version::of("case rule");
        version.add("name", &name).add("case", &draft.spec.terms).add("in", on.state.as_ref().map_or("", |s| &s.value));
        version.add("when", when.canonical()).add("for", &on.hold.to_string()).add("severity", &format!("{severity:?}"));
        Some(RuleSpec {
            name,
            watches: Watches::Case(CaseRule { case, state, hold: on.hold }),
            when,
            until: None,
            clauses,
            vars: Vec::new(),
            hold: Span::ZERO,
            early: false,
            stands_for: Vec::new(),
            no_data: None,
            severity,
            title,
            sop: yaml.sop.as_ref().map(|t| t.value.clone()),
            limits: Vec::new(),
            version: version.hex(),
        })
    }

    fn case_state(&mut self, text: &Text, draft: &CaseDraft<'_>) -> Option<u16> {
        let found = draft.spec.state(&text.value);
        if found.is_none() {
            let states = draft.spec.states.iter().map(String::as_str);
            let next = closest(&text.value, states.clone());
            let has = if next.is_some() { String::new() } else { format!(": it has {}", listed(states.collect::<Vec<_>>())) };
            self.report.suggest(text.at, format!("the case `{}` has no state `{}`{has}", draft.spec.name, text.value), next);
        }
        found
    }

    fn case_condition(&mut self, text: &Text, draft: &mut CaseDraft<'_>) -> Option<Program> {
        let ast = self.parse(text)?;
        let program = self.case_program(text, &ast, draft, Stands::Alert)?;
        self.expect_truth(text, &ast, &program, "`when`").then_some(program)
    }

    fn case_template(&mut self, text: &Text, draft: &mut CaseDraft<'_>) -> Vec<super::super::TemplatePart> {
        let (schemas, wanted) = (self.schemas, &mut *self.wanted);
        let mut resolve = |path: &str| -> Result<Option<RuleVar>, Unresolved> {
            if let Some(i) = TAGS.iter().position(|t| *t == path) {
                return Ok(Some(RuleVar::Tag(i)));
            }
            if let Some(member) = path.strip_prefix("area.") {
                return match AREA_VARS.contains(&member) {
                    true => Ok(Some(RuleVar::Area(member.to_owned()))),
                    false => Err(Unresolved {
                        what: format!("an area has no `{member}`: write {}", listed(["area.name", "area.code", "area.level"])),
                        next: closest(member, AREA_VARS).map(|m| format!("area.{m}")),
                    }),
                };
            }
            match draft.scope(schemas, wanted, Stands::Title).variable(path)? {
                Found::Slot(slot, _) => Ok(Some(RuleVar::Case(slot))),
                Found::Absent => Ok(None),
            }
        };
        let mut mistakes = Vec::new();
        let parts = super::rule::read_template(text, &mut resolve, &mut mistakes);
        for (at, Unresolved { what, next }) in mistakes {
            self.report.suggest(text.place(at), what, next);
        }
        parts
    }
}
