//! Alerts: thresholds on the rows of one window, and their titles.
//!
//! Owns: what a rule may name, titles, limits for charts. Refuses to know: rows' values, alerts' states.
//!
//! Invariants
//! 1. `when` and `until` read the same slots: slot i is `vars[i]`.
//! 2. Every `{…}` of a title is a variable of the rule.
//! 3. `version` covers what changes the alert's changes: not titles and procedures.
//!
//! Called by: compile.

use super::super::expr::syntax::{Ast, Binary, Kind};
use super::super::expr::{ExprError, Found, Program, Scope, Unresolved, ValueType};
use super::super::mistake::{closest, listed};
use super::super::spec::{AlertYaml, ByYaml, WindowYaml};
use super::super::yaml::Text;
use super::super::{RuleLimit, RuleSpec, RuleVar, Template, TemplatePart, Watches, WindowSpec};
use super::ask::{ASKING, ask};
use super::case::CaseDraft;
use super::clause::clauses;
use super::previous::previous;
use super::window::is_aggregate;
use super::{AREA_VARS, Compiler, Known, Version};
use std::ops::Range;

pub(super) struct RuleScope<'a> {
    pub window: &'a WindowSpec,
    /// Fields and keys of the window that have mistakes of their own: no more is said of them.
    pub broken: &'a [String],
    pub known: &'a Known,
    pub vars: &'a mut Vec<RuleVar>,
}

impl RuleScope<'_> {
    fn is_broken(&self, path: &str) -> bool {
        self.broken.iter().any(|b| b == path || path.split('.').next() == Some(b))
    }

    fn resolve(&self, path: &str) -> Result<(RuleVar, ValueType), Unresolved> {
        if let Some(i) = self.window.fields.iter().position(|f| f.name == path) {
            return Ok((RuleVar::Field(i), ValueType::Num));
        }
        if let Some(i) = self.window.tags.iter().position(|t| t == path) {
            return Ok((RuleVar::Tag(i), ValueType::Text));
        }
        match path {
            "start" => return Ok((RuleVar::Start, ValueType::Time)),
            "end" => return Ok((RuleVar::End, ValueType::Time)),
            "heard" => return Ok((RuleVar::Heard, ValueType::Num)),
            "expected" => return Ok((RuleVar::Expected, ValueType::Num)),
            _ => {}
        }
        match path.split_once('.') {
            Some(("area", member)) => self.area(member),
            Some(("source", member)) => self.source(member),
            _ => Err(self.unknown(path)),
        }
    }

    fn area(&self, member: &str) -> Result<(RuleVar, ValueType), Unresolved> {
        let refuse = |what: String, next: Option<String>| Err(Unresolved { what, next });
        if self.window.area_tag.is_none() {
            return refuse(format!("the rows of `{}` have no area: add `area` to its `by`", self.window.measurement), None);
        }
        if !AREA_VARS.contains(&member) {
            let next = closest(member, AREA_VARS).map(|m| format!("area.{m}"));
            return refuse(format!("an area has no `{member}`: write {}", listed(["area.name", "area.code", "area.level"])), next);
        }
        Ok((RuleVar::Area(member.to_owned()), if member == "level" { ValueType::Any } else { ValueType::Text }))
    }

    fn source(&self, member: &str) -> Result<(RuleVar, ValueType), Unresolved> {
        let refuse = |what: String, next: Option<String>| Err(Unresolved { what, next });
        if self.window.source_tag.is_none() {
            return refuse(format!("the rows of `{}` have no source: add `source` to its `by`", self.window.measurement), None);
        }
        if let Some(attributes) = &self.known.source_attributes
            && !attributes.contains(member)
        {
            let next = closest(member, attributes.iter().map(String::as_str)).map(|m| format!("source.{m}"));
            return refuse(format!("no source of the registry has an attribute `{member}`: add it in registry/sources"), next);
        }
        Ok((RuleVar::SourceAttribute(member.to_owned()), ValueType::Any))
    }

    fn slot(&mut self, var: RuleVar) -> usize {
        self.vars.iter().position(|v| *v == var).unwrap_or_else(|| {
            self.vars.push(var);
            self.vars.len() - 1
        })
    }

    fn unknown(&self, path: &str) -> Unresolved {
        let window = self.window;
        let names: Vec<&str> = window.fields.iter().map(|f| f.name.as_str()).chain(window.tags.iter().map(String::as_str)).collect();
        if path == "data" || path.starts_with("data.") {
            let what = format!("an alert sees rows, not events: `{path}` must be a field of `{}` first", window.measurement);
            return Unresolved { what, next: None };
        }
        let fixed = ["start", "end", "heard", "expected"];
        let next = closest(path, names.iter().copied().chain(fixed));
        let has = if next.is_some() { String::new() } else { format!(": they have {}", listed(names)) };
        Unresolved { what: format!("the rows of `{}` have no `{path}`{has}", window.measurement), next }
    }
}

impl Scope for RuleScope<'_> {
    fn variable(&mut self, path: &str) -> Result<Found, Unresolved> {
        if self.is_broken(path) {
            return Ok(Found::Absent);
        }
        let (var, kind) = self.resolve(path)?;
        Ok(Found::Slot(self.slot(var), kind))
    }

    fn functions(&self) -> &'static [&'static str] {
        &ASKING
    }

    fn call(&mut self, name: &str, args: &[Ast], at: &Range<usize>) -> Option<Result<Found, ExprError>> {
        if let Some(asked) = ask(name, args, at, self.known, &|path| self.resolve(path)) {
            return Some(asked.map(|(var, kind)| Found::Slot(self.slot(var), kind)));
        }
        if name == "previous" {
            let asked = if args.first().is_some_and(|a| matches!(&a.kind, Kind::Path(p) if self.is_broken(p))) {
                Ok(Found::Absent)
            } else {
                previous(args, at, self.window).map(|var| Found::Slot(self.slot(var), ValueType::Num))
            };
            return Some(asked);
        }
        if !is_aggregate(name) {
            return None;
        }
        let args: Vec<String> = args.iter().map(Ast::to_string).collect();
        let what = format!(
            "an alert sees rows: add a field `name: {name}({})` to `{}` and compare that",
            args.join(", "),
            self.window.measurement
        );
        Some(Err(ExprError::new(at.clone(), what)))
    }
}

impl Compiler<'_> {
    pub(super) fn rules(&mut self, windows: &[WindowSpec], cases: &mut [CaseDraft<'_>]) -> Vec<RuleSpec> {
        let mut rules: Vec<RuleSpec> = Vec::new();
        let mut names: Vec<&Text> = Vec::new();
        let spec = self.spec;
        for text in spec.alerts.iter().map(|a| &a.alert).chain(spec.absences.iter().map(|a| &a.alert)).flatten() {
            if let Some(first) = names.iter().find(|n| n.value == text.value) {
                self.report.add(text.at, format!("the alert `{}` stands in line {} already: rename one", text.value, first.at.line));
            }
            names.push(text);
        }
        for yaml in &spec.alerts {
            self.check_sop(yaml.sop.as_ref());
            rules.extend(match &yaml.case {
                Some(on) => self.case_rule(yaml, on, cases),
                None => self.rule(yaml, windows),
            });
        }
        rules
    }

    fn rule(&mut self, yaml: &AlertYaml, windows: &[WindowSpec]) -> Option<RuleSpec> {
        let name = yaml.alert.as_ref().and_then(|t| self.name(t, "an alert"));
        let (index, window) = self.rule_window(yaml, windows)?;
        let declared = self.spec.windows.iter().find(|w| w.measurement.as_ref().is_some_and(|m| m.value == window.measurement))?;
        let broken = broken_names(declared, window);
        if yaml.early && window.early.is_none() {
            let what =
                format!("`early: true` needs early rows, and `{}` has none: give that window `early: 10s` or the like", window.measurement);
            self.report.add(yaml.at, what);
        }
        if let (Some(first), None) = (yaml.stands_for.first(), window.area_tag) {
            let what = format!("`stands_for` is for the sources of an area: add `area` to the `by` of `{}`", window.measurement);
            self.report.add(first.at, what);
        }
        let known = self.known;
        let mut vars = Vec::new();
        let mut limits = Vec::new();
        let when = yaml
            .when
            .as_ref()
            .and_then(|t| self.rule_condition(t, &mut RuleScope { window, broken: &broken, known, vars: &mut vars }, &mut limits, false));
        let until = yaml
            .until
            .as_ref()
            .and_then(|t| self.rule_condition(t, &mut RuleScope { window, broken: &broken, known, vars: &mut vars }, &mut limits, true));
        let clauses = yaml
            .when
            .as_ref()
            .map(|t| clauses(&t.value, &mut RuleScope { window, broken: &broken, known, vars: &mut vars }))
            .unwrap_or_default();
        let mut side = |text: &Option<Text>| {
            let text = text.as_ref()?;
            Some(self.template(text, &RuleScope { window, broken: &broken, known, vars: &mut Vec::new() }))
        };
        let title = Template { vi: side(&yaml.vi).unwrap_or_default(), en: side(&yaml.en).unwrap_or_default() };
        let (name, when, severity) = (name?, when?, yaml.severity?);
        let mut version = Version::of("rule");
        version.add("name", &name).add("window", &window.version).add("when", when.canonical());
        version.add("until", until.as_ref().map_or("", Program::canonical)).add("for", &yaml.hold.0.to_string());
        version
            .add("early", &yaml.early.to_string())
            .add("no data", &format!("{:?}", yaml.no_data))
            .add("severity", &format!("{severity:?}"));
        let stands_for: Vec<String> = yaml.stands_for.iter().map(|t| t.value.clone()).collect();
        stands_for.iter().for_each(|name| {
            version.add("stands for", name);
        });
        Some(RuleSpec {
            name,
            watches: Watches::Rows(index),
            when,
            until,
            clauses,
            vars,
            hold: yaml.hold,
            early: yaml.early,
            no_data: yaml.no_data,
            stands_for,
            severity,
            title,
            sop: yaml.sop.as_ref().map(|t| t.value.clone()),
            limits,
            version: version.hex(),
        })
    }

    pub(super) fn check_sop(&mut self, sop: Option<&Text>) {
        if let (Some(text), Some(sops)) = (sop, &self.known.sops)
            && !sops.contains(&text.value)
        {
            let next = closest(&text.value, sops.iter().map(String::as_str));
            self.report.suggest(
                text.at,
                format!("the registry has no procedure `{0}`: write registry/{0} or correct the name", text.value),
                next,
            );
        }
    }

    fn rule_window<'w>(&mut self, yaml: &AlertYaml, windows: &'w [WindowSpec]) -> Option<(usize, &'w WindowSpec)> {
        let on = yaml.on.as_ref()?;
        if let Some(found) = windows.iter().enumerate().find(|(_, w)| w.measurement == on.value) {
            return Some(found);
        }
        let declared: Vec<&str> = self.spec.windows.iter().filter_map(|w| w.measurement.as_ref()).map(|t| t.value.as_str()).collect();
        // a window with mistakes of its own is not there to check against
        if !declared.contains(&on.value.as_str()) {
            let next = closest(&on.value, declared.iter().copied());
            let has = if next.is_some() { String::new() } else { format!(": write {}", listed(declared)) };
            self.report.suggest(on.at, format!("this file has no measurement `{}`{has}", on.value), next);
        }
        None
    }

    fn rule_condition(&mut self, text: &Text, scope: &mut RuleScope<'_>, limits: &mut Vec<RuleLimit>, until: bool) -> Option<Program> {
        let ast = self.parse(text)?;
        let program = self.compile(text, &ast, &text.value, scope)?;
        let what = if until { "`until`" } else { "`when`" };
        if !self.expect_truth(text, &ast, &program, what) {
            return None;
        }
        find_limits(&ast, scope.window, until, limits);
        Some(program)
    }

    pub(super) fn template(&mut self, text: &Text, scope: &RuleScope<'_>) -> Vec<TemplatePart> {
        let mut mistakes = Vec::new();
        let mut resolve = |path: &str| match scope.resolve(path) {
            Err(_) if scope.is_broken(path) => Ok(None),
            found => found.map(|(var, _)| Some(var)),
        };
        let parts = read_template(text, &mut resolve, &mut mistakes);
        for (at, Unresolved { what, next }) in mistakes {
            self.report.suggest(text.place(at), what, next);
        }
        parts
    }
}

/// "Dòng xe đứng tại {area.name}"; `{{` and `}}` are braces. `resolve`: `None` for a name whose mistake is told elsewhere. Mistakes come
/// with their byte in the text.
pub(super) fn read_template(
    text: &Text,
    resolve: &mut dyn FnMut(&str) -> Result<Option<RuleVar>, Unresolved>,
    mistakes: &mut Vec<(usize, Unresolved)>,
) -> Vec<TemplatePart> {
    let plainly = |what: &str| Unresolved { what: what.to_owned(), next: None };
    let mut parts = Vec::new();
    let mut plain = String::new();
    let value = &text.value;
    let mut i = 0;
    while let Some(c) = value[i..].chars().next() {
        let rest = &value[i..];
        if rest.starts_with("{{") || rest.starts_with("}}") {
            plain.push(c);
            i += 2;
        } else if c == '{' {
            let Some(end) = rest.find('}') else {
                mistakes.push((i, plainly("a `{` is never closed: write `{name}`, or `{{` for a brace")));
                return parts;
            };
            match resolve(rest[1..end].trim()) {
                Ok(None) => {}
                Ok(Some(var)) => {
                    if !plain.is_empty() {
                        parts.push(TemplatePart::Text(std::mem::take(&mut plain)));
                    }
                    parts.push(TemplatePart::Var(var));
                }
                Err(unresolved) => mistakes.push((i + 1, unresolved)),
            }
            i += end + 1;
        } else if c == '}' {
            mistakes.push((i, plainly("a `}` without `{`: write `{name}`, or `}}` for a brace")));
            return parts;
        } else {
            plain.push(c);
            i += c.len_utf8();
        }
    }
    if !plain.is_empty() {
        parts.push(TemplatePart::Text(plain));
    }
    parts
}

/// Declared, but not there because of mistakes.
fn broken_names(yaml: &WindowYaml, window: &WindowSpec) -> Vec<String> {
    let fields = yaml.fields.iter().map(|(name, _)| name.value.as_str()).filter(|n| !window.fields.iter().any(|f| f.name == **n));
    let keys = yaml.by.iter().filter_map(|by| match by {
        ByYaml::Path(text) => text.value.rsplit('.').next(),
        ByYaml::Named(name, _) => Some(name.value.as_str()),
    });
    fields.chain(keys.filter(|n| !window.tags.iter().any(|t| t == n))).map(str::to_owned).collect()
}

/// Comparisons of a field with a number among the conditions that `&&` and `||` join.
fn find_limits(ast: &Ast, window: &WindowSpec, until: bool, out: &mut Vec<RuleLimit>) {
    let Kind::Binary(binary, pair) = &ast.kind else { return };
    if matches!(binary, Binary::And | Binary::Or) {
        pair.iter().for_each(|side| find_limits(side, window, until, out));
        return;
    }
    let compares =
        matches!(binary, Binary::Equal | Binary::NotEqual | Binary::Less | Binary::LessEqual | Binary::Greater | Binary::GreaterEqual);
    let (field, op, value) = match (&pair[0].kind, &pair[1].kind) {
        (Kind::Path(field), Kind::Num(n)) => (field, *binary, *n),
        (Kind::Num(n), Kind::Path(field)) => (field, binary.mirrored(), *n),
        _ => return,
    };
    if compares && window.fields.iter().any(|f| f.name == *field) {
        out.push(RuleLimit { field: field.clone(), op: op.sign(), value, until });
    }
}
