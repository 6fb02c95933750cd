//! Cases: their life, their due times, and what expressions over a case may name.
//!
//! Owns: [`CaseDraft`] (a case while the rest of its file is compiled), [`CaseScope`], the grammar of `due`. Refuses to know: histories of
//! cases, rows, the calendar's insides.
//!
//! Invariants
//! 1. A value that somebody reads of a case is kept with each of its events: `values` grows while gauges and alerts are compiled, and the
//!    inputs of the types are made last.
//! 2. What changes while time passes names no key of a gauge and begins no alert by itself, but for `overdue` and `due_soon`.
//!
//! Called by: compile, compile/gauge.rs, compile/case_rule.rs.

use super::super::case::{CaseInput, CaseSpec, DueRule, Limit, slot};
use super::super::expr::syntax::{self, Ast, Kind};
use super::super::expr::{ExprError, Found, Program, Scope, Unresolved, ValueType, compile_ast};
use super::super::mistake::{closest, listed};
use super::super::spec::CaseYaml;
use super::super::yaml::Text;
use super::super::{KeySource, TypePlan};
use super::event::{EventScope, Role};
use super::window::is_aggregate;
use super::{Compiler, Content, NO_CALENDAR, Schemas, Version, sorted_names};
use crate::event::decode::Wanted;
use crate::time::working::Length;
use std::ops::Range;

/// A case whose `values` are not complete yet.
pub(super) struct CaseDraft<'t> {
    pub spec: CaseSpec,
    pub kinds: Vec<String>,
    filter: Option<(&'t Text, Ast)>,
    subject: Option<(&'t Text, Ast)>,
    state: Option<(&'t Text, Ast)>,
    created: Option<(&'t Text, Ast)>,
}

/// Where an expression over a case stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stands {
    Due,
    Key,
    Field,
    Alert,
    Title,
}

/// The names of one case.
pub(super) struct CaseScope<'a> {
    pub spec: &'a mut CaseSpec,
    pub kinds: &'a [String],
    pub schemas: &'a dyn Schemas,
    pub wanted: &'a mut Wanted,
    pub stands: Stands,
}

impl CaseScope<'_> {
    /// A fixed slot, where it may be read.
    fn fixed(&self, number: usize) -> Result<Found, Unresolved> {
        let name = slot::NAMES[number];
        let refuse = |what: String| Err(Unresolved { what, next: None });
        let lacks =
            |key: &str, example: &str| refuse(format!("the case `{}` has no `{key}`: add `{key}: {example}` to it", self.spec.name));
        let judged = matches!(number, slot::OPEN | slot::OVERDUE | slot::DUE_SOON | slot::AGE_H | slot::DUE);
        match self.stands {
            Stands::Due if judged => return refuse(format!("`{name}` is known only when the due time is: write it without")),
            Stands::Key if judged || number == slot::CREATED => {
                return refuse(format!("`{name}` changes while time passes: a key is `state`, `subject`, or comes from the event"));
            }
            Stands::Alert if number == slot::AGE_H => {
                return refuse("an alert waits by `for`, not by `age_h`: write `in: created` with `for: 2 working hours`".into());
            }
            _ => {}
        }
        if matches!(number, slot::OVERDUE | slot::DUE_SOON | slot::DUE) && self.spec.due.is_empty() {
            return lacks("due", "data.due_at");
        }
        if number == slot::DUE_SOON && self.spec.due_soon.is_none() {
            return lacks("due_soon", "4 working hours");
        }
        let kind = match number {
            slot::STATE | slot::SUBJECT => ValueType::Text,
            slot::OPEN | slot::OVERDUE | slot::DUE_SOON => ValueType::Bool,
            slot::AGE_H => ValueType::Num,
            _ => ValueType::Time,
        };
        Ok(Found::Slot(number, kind))
    }

    /// A value of the newest event: kept from now on.
    fn value(&mut self, path: &str) -> Result<Found, Unresolved> {
        let mut kind: Option<ValueType> = None;
        for of in self.kinds {
            let mut scope = EventScope { schemas: self.schemas, wanted: self.wanted, kind: of, kinds: self.kinds, role: Role::Argument };
            if let Found::Slot(_, found) = scope.variable(path)? {
                kind = Some(kind.map_or(found, |k| if k == found { k } else { ValueType::Any }));
            }
        }
        let values = &mut self.spec.values;
        let index = values.iter().position(|v| v == path).unwrap_or_else(|| {
            values.push(path.to_owned());
            values.len() - 1
        });
        Ok(Found::Slot(slot::VALUES + index, kind.unwrap_or_default()))
    }
}

impl Scope for CaseScope<'_> {
    fn variable(&mut self, path: &str) -> Result<Found, Unresolved> {
        if let Some(number) = slot::NAMES.iter().position(|n| *n == path) {
            return self.fixed(number);
        }
        if path.starts_with("area") {
            let what = "the area of a case is a key: write `area` in `by`, or {area.name} in a title".to_owned();
            return Err(Unresolved { what, next: None });
        }
        if !path.contains('.')
            && let Some(next) = closest(path, slot::NAMES)
            && path != "source"
        {
            return Err(Unresolved { what: format!("a case has no `{path}`: it has {}", listed(slot::NAMES)), next: Some(next) });
        }
        self.value(path)
    }

    fn call(&mut self, name: &str, _args: &[Ast], at: &Range<usize>) -> Option<Result<Found, ExprError>> {
        if !is_aggregate(name) {
            return None;
        }
        let what = match self.stands {
            Stands::Field => format!("`{name}` cannot stand inside another aggregate: give it a field of its own and combine the fields"),
            _ => format!("`{name}` is an aggregate of many, a case is one: count cases in the fields of a gauge"),
        };
        Some(Err(ExprError::new(at.clone(), what)))
    }
}

impl<'t> CaseDraft<'t> {
    /// The names of this case, for an expression that stands there.
    pub fn scope<'a>(&'a mut self, schemas: &'a dyn Schemas, wanted: &'a mut Wanted, stands: Stands) -> CaseScope<'a> {
        CaseScope { spec: &mut self.spec, kinds: &self.kinds, schemas, wanted, stands }
    }
}

impl Compiler<'_> {
    pub(super) fn cases<'t>(&mut self, yaml: &'t [CaseYaml], content: &Content<'_>) -> Vec<CaseDraft<'t>> {
        yaml.iter().filter_map(|case| self.case(case, content)).collect()
    }

    fn case<'t>(&mut self, yaml: &'t CaseYaml, content: &Content<'_>) -> Option<CaseDraft<'t>> {
        let name = yaml.case.as_ref().and_then(|t| self.name(t, "a case"));
        let states = self.states(yaml);
        let kinds = self.taken_kinds(&yaml.from, content.kinds);
        let mut parsed = |text: &'t Option<Text>| text.as_ref().and_then(|t| self.parse(t).map(|ast| (t, ast)));
        let (filter, subject) = (parsed(&yaml.filter), parsed(&yaml.subject));
        let (state, created) = (parsed(&yaml.state), parsed(&yaml.created));
        let canonical = |of: &Option<(&Text, Ast)>| of.as_ref().map(|(_, ast)| ast.to_string()).unwrap_or_default();
        let mut version = Version::of("case");
        version.add("name", name.as_deref().unwrap_or("")).add("from", &sorted_names(&kinds));
        version.add("where", content.filter.as_deref().unwrap_or("")).add("case where", &canonical(&filter));
        version.add("subject", &canonical(&subject)).add("state", &canonical(&state)).add("created", &canonical(&created));
        let spec = CaseSpec {
            name: name.unwrap_or_default(),
            states,
            open: yaml.open.len(),
            values: Vec::new(),
            due: Vec::new(),
            due_soon: yaml.due_soon.map(|(_, length)| length),
            keep: yaml.keep,
            version: version.hex(),
            terms: String::new(),
        };
        let mut draft = CaseDraft { spec, kinds, filter, subject, state, created };
        let due = match &yaml.due {
            Some(text) => self.due(text, yaml, &mut draft),
            None => Vec::new(),
        };
        if let (Some((at, _)), true) = (yaml.due_soon, yaml.due.is_none()) {
            self.report.add(at, "`due_soon` needs a due time: add `due: data.due_at` or the like");
        }
        if let (Some((at, Length::Working(_))), true) = (yaml.due_soon, self.known.no_calendar) {
            self.report.add(at, NO_CALENDAR);
        }
        draft.spec.due = due;
        let mut terms = Version::of("case terms");
        terms.add("case", &draft.spec.version).add("states", &draft.spec.states.join(",")).add("open", &draft.spec.open.to_string());
        terms.add("due", &yaml.due.as_ref().map_or(String::new(), |t| t.value.split_whitespace().collect::<Vec<_>>().join(" ")));
        terms.add("sla", yaml.sla.as_ref().map_or("", |t| &t.value)).add("due soon", &format!("{:?}", draft.spec.due_soon));
        draft.spec.terms = terms.hex();
        // what the events must say is checked even where nothing else reads it
        self.case_input(&draft, &draft.kinds.first()?.clone());
        Some(draft)
    }

    fn states(&mut self, yaml: &CaseYaml) -> Vec<String> {
        let mut states: Vec<String> = Vec::new();
        for text in yaml.open.iter().chain(&yaml.closed) {
            if states.contains(&text.value) {
                self.report.add(text.at, format!("the state `{}` stands twice: remove one", text.value));
            }
            states.push(text.value.clone());
        }
        states
    }

    /// Alternatives are parted by `, else`; each is a time, or `working(from, limit)`.
    fn due(&mut self, text: &Text, yaml: &CaseYaml, draft: &mut CaseDraft<'_>) -> Vec<DueRule> {
        let mut rules = Vec::new();
        for part in alternatives(&text.value) {
            // spaces before it keep the places of what is found in it
            match syntax::parse(&format!("{:1$}{2}", "", part.start, &text.value[part.clone()])) {
                Ok(ast) => rules.extend(self.due_rule(text, &ast, yaml, draft)),
                Err(error) => self.report_errors(text, vec![error]),
            }
        }
        rules
    }

    fn due_rule(&mut self, text: &Text, ast: &Ast, yaml: &CaseYaml, draft: &mut CaseDraft<'_>) -> Option<DueRule> {
        match &ast.kind {
            Kind::Call(name, _) if name == "working" && self.known.no_calendar => {
                self.report.add(text.place(ast.at.start), NO_CALENDAR);
                None
            }
            Kind::Call(name, args) if name == "working" => match args.as_slice() {
                [from, limit] => {
                    let from = self.instant(text, from, draft)?;
                    let limit = self.limit(text, limit, yaml, draft)?;
                    Some(DueRule::Working { from, limit })
                }
                _ => {
                    let what = "`working` takes an instant and a length, as in `working(created_at, sla[data.category])` or `working(created_at, 16)`";
                    self.report.add(text.place(ast.at.start), what);
                    None
                }
            },
            _ => self.instant(text, ast, draft).map(DueRule::At),
        }
    }

    fn instant(&mut self, text: &Text, ast: &Ast, draft: &mut CaseDraft<'_>) -> Option<Program> {
        let program = self.case_program(text, ast, draft, Stands::Due)?;
        if matches!(program.kind(), ValueType::Num | ValueType::Bool) {
            self.report.add(text.place(ast.at.start), format!("a due time is a time, `{ast}` is {}", program.kind()));
            return None;
        }
        Some(program)
    }

    fn limit(&mut self, text: &Text, ast: &Ast, yaml: &CaseYaml, draft: &mut CaseDraft<'_>) -> Option<Limit> {
        let at = text.place(ast.at.start);
        let key = match &ast.kind {
            Kind::Index(pair) if pair[0].kind == Kind::Path("sla".into()) => self.case_program(text, &pair[1], draft, Stands::Due)?,
            Kind::Path(path) if path == "sla" || path.starts_with("sla.") => {
                let key = path.strip_prefix("sla.").unwrap_or("default");
                self.case_program(text, &Ast { at: ast.at.clone(), kind: Kind::Text(key.to_owned()) }, draft, Stands::Due)?
            }
            _ => {
                let hours = self.case_program(text, ast, draft, Stands::Due)?;
                if !matches!(hours.kind(), ValueType::Num | ValueType::Any) {
                    self.report.add(at, format!("a limit is a number of working hours or `sla[…]`, `{ast}` is {}", hours.kind()));
                }
                return Some(Limit::Hours(hours));
            }
        };
        let Some(table) = &yaml.sla else {
            self.report
                .add(at, "`sla` names no table: add `sla: field_report` (a name under `limits:` in registry/calendar.yaml) to the case");
            return None;
        };
        if let Some(tables) = &self.known.limits
            && !tables.contains(&table.value)
        {
            let next = closest(&table.value, tables.iter().map(String::as_str));
            let what = format!("registry/calendar.yaml has no `{}` under `limits:`: add it there or correct the name", table.value);
            self.report.suggest(table.at, what, next);
        }
        Some(Limit::Table { table: table.value.clone(), key })
    }

    pub(super) fn case_program(&mut self, text: &Text, ast: &Ast, draft: &mut CaseDraft<'_>, stands: Stands) -> Option<Program> {
        match compile_ast(ast, &text.value, &mut draft.scope(self.schemas, self.wanted, stands)) {
            Ok(program) => Some(program),
            Err(errors) => {
                self.report_errors(text, errors);
                None
            }
        }
    }

    /// Puts to each type how its events move the cases, and gives the cases.
    pub(super) fn finish_cases(&mut self, drafts: Vec<CaseDraft<'_>>, types: &mut [TypePlan]) -> Vec<CaseSpec> {
        for draft in &drafts {
            for plan in types.iter_mut() {
                let taken = draft.kinds.contains(&plan.kind);
                plan.cases.push(if taken { self.case_input(draft, &plan.kind) } else { None });
            }
        }
        drafts.into_iter().map(|draft| draft.spec).collect()
    }

    fn case_input(&mut self, draft: &CaseDraft<'_>, kind: &str) -> Option<CaseInput> {
        let kinds = &draft.kinds;
        let filter = draft.filter.as_ref().and_then(|(text, ast)| self.condition(text, ast, kind, kinds, Role::Where));
        let subject = match &draft.subject {
            None => KeySource::Subject,
            Some((_, Ast { kind: Kind::Path(path), .. })) if path == "subject" => KeySource::Subject,
            Some((_, Ast { kind: Kind::Path(path), .. })) if path == "source" => KeySource::Source,
            Some((text, ast)) => KeySource::Value(self.event_program(text, ast, kind, kinds, Role::Key)?),
        };
        let (text, ast) = draft.state.as_ref()?;
        let state = self.event_program(text, ast, kind, kinds, Role::Key)?;
        if !matches!(state.kind(), ValueType::Text | ValueType::Any) {
            self.report.add(text.place(ast.at.start), format!("a state is a text, `{ast}` is {}", state.kind()));
        }
        let created = draft.created.as_ref().and_then(|(text, ast)| {
            let program = self.event_program(text, ast, kind, kinds, Role::Key)?;
            if matches!(program.kind(), ValueType::Num | ValueType::Bool) {
                self.report.add(text.place(ast.at.start), format!("`created` is a time, `{ast}` is {}", program.kind()));
            }
            Some(program)
        });
        let value = |name: &String| {
            let ast = Ast { at: 0..name.len(), kind: Kind::Path(name.clone()) };
            let mut scope = EventScope { schemas: self.schemas, wanted: &mut *self.wanted, kind, kinds, role: Role::Argument };
            // it was found when it was named
            compile_ast(&ast, name, &mut scope).ok()
        };
        let values = draft.spec.values.iter().filter_map(value).collect();
        Some(CaseInput { filter, subject, state, created, values })
    }
}

/// Where the alternatives of `due` stand: parted by a comma and the word `else`, outside of brackets and quotes.
fn alternatives(text: &str) -> Vec<Range<usize>> {
    let (mut depth, mut quote) = (0usize, None);
    let mut parts = Vec::new();
    let mut from = 0;
    for (i, c) in text.char_indices() {
        match (c, quote) {
            (c, Some(q)) if c == q => quote = None,
            (_, Some(_)) => {}
            ('"' | '\'', None) => quote = Some(c),
            ('(' | '[', None) => depth += 1,
            (')' | ']', None) => depth = depth.saturating_sub(1),
            (',', None) if depth == 0 => {
                let rest = &text[i + 1..];
                let word = rest.trim_start();
                if let Some(after) = word.strip_prefix("else")
                    && after.starts_with(char::is_whitespace)
                {
                    parts.push(from..i);
                    from = text.len() - after.len();
                }
            }
            _ => {}
        }
    }
    parts.push(from..text.len());
    parts
}
