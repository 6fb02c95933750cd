//! What a test expects of cases, and what they are.
//!
//! Owns: [`CaseExpect`], its keys, its judgement. Refuses to know: how a case comes to be what it is (R9).
//!
//! Invariants
//! 1. A case is judged as of an instant, by all that is known of it at the end of the test: arrival order does not matter.
//!
//! Called by: expect (reads), judge.

use super::judge::Failure;
use super::moment::since;
use super::spec::instant;
use crate::engine::case::{Gaps, View};
use crate::engine::lane::Lane;
use crate::pipeline::Pipeline;
use crate::pipeline::case::slot;
use crate::pipeline::expr::{Inputs, Value};
use crate::pipeline::mistake::{Place, Report, closest, listed};
use crate::pipeline::spec::Keys;
use crate::pipeline::yaml::{Node, Text};
use crate::time::Timestamp;

pub const CASE_KEYS: [&str; 10] = ["case", "subject", "at", "state", "open", "overdue", "due_soon", "due", "area", "none"];

/// One case at an instant; what is not said may be anything.
#[derive(Clone, PartialEq, Debug)]
pub struct CaseExpect {
    pub at: Place,
    pub case: Text,
    pub subject: Text,
    /// `None`: the end of the test.
    pub when: Option<Timestamp>,
    pub state: Option<Text>,
    /// By slot: open, overdue, due_soon.
    pub flags: Vec<(usize, bool)>,
    pub due: Option<Timestamp>,
    pub area: Option<Text>,
    /// There must be none.
    pub none: bool,
}

pub(super) fn read_case(node: &Node, start: Timestamp, report: &mut Report) -> Option<CaseExpect> {
    let keys = Keys::open(node, "a case", &CASE_KEYS, &[], report)?;
    let named = [("open", slot::OPEN), ("overdue", slot::OVERDUE), ("due_soon", slot::DUE_SOON)];
    let flags = named.into_iter().filter(|(key, _)| keys.get(key).is_some());
    Some(CaseExpect {
        at: node.at,
        when: instant(&keys, "at", start, report),
        state: keys.text("state", report),
        flags: flags.map(|(key, slot)| (slot, keys.flag(key, report))).collect(),
        due: instant(&keys, "due", start, report),
        area: keys.text("area", report),
        none: keys.flag("none", report),
        subject: keys.required("subject", "the case has no subject: write `subject:`", report)?,
        case: keys.required("case", "the entry names no case: write `case:` and one of the pipeline's", report)?,
    })
}

impl CaseExpect {
    pub(super) fn check(&self, pipeline: &Pipeline, report: &mut Report) {
        let names = || pipeline.cases.iter().map(|c| c.name.as_str());
        let Some(spec) = pipeline.cases.iter().find(|c| c.name == self.case.value) else {
            let what = format!("the pipeline has no case `{}`", self.case.value);
            return report.suggest(self.case.at, what, closest(&self.case.value, names()));
        };
        if let Some(state) = self.state.as_ref().filter(|s| spec.state(&s.value).is_none()) {
            let states = || spec.states.iter().map(String::as_str);
            let what = format!("the case has no state `{}`: it has {}", state.value, listed(states()));
            report.suggest(state.at, what, closest(&state.value, states()));
        }
    }

    pub(super) fn judge(&self, lane: &Lane, start: Timestamp, end: Timestamp) -> Option<Failure> {
        let at = self.when.unwrap_or(end);
        let setup = &lane.setup;
        let case = lane.core.cases().get(&setup.pipelines, &self.case.value, &self.subject.value);
        let standing = case.and_then(|c| Some((c, c.case.at(at)?)));
        let what = format!("case {} {} at {}", self.case.value, self.subject.value, since(at, start));
        let fail = |why: String, came: Vec<String>| Some(Failure { at: self.at, what: format!("{what}: {why}"), came });
        let Some((case, standing)) = standing else {
            let others = lane.core.cases().iter(&setup.pipelines).filter(|c| c.spec.name == self.case.value).take(12);
            let others = others.map(|c| format!("{} {}", c.spec.name, c.subject)).collect();
            return if self.none { None } else { fail("there is none then".into(), others) };
        };
        let mut gaps = Gaps::default();
        let view = View::new(case.spec, &setup.registry, case.subject, standing, at, &mut gaps);
        let area = standing.area.map_or("outside", |a| setup.registry.areas.area(a).code.as_str());
        let mut out = Vec::new();
        if self.none {
            out.push("there is one".to_owned());
        }
        let state = view.get(slot::STATE);
        let state = state.text().unwrap_or_default();
        if let Some(wanted) = self.state.as_ref().filter(|s| s.value != state) {
            out.push(format!("the state is {state}, not {}", wanted.value));
        }
        for (slot, wanted) in &self.flags {
            if view.get(*slot) != Value::Bool(*wanted) {
                out.push(format!("{} is {}, not {wanted}", slot::NAMES[*slot], text(view.get(*slot), start)));
            }
        }
        if let Some(due) = self.due.filter(|due| view.due != Some(*due)) {
            let came = view.due.map_or_else(|| "not known".to_owned(), |d| since(d, start));
            out.push(format!("it is due at {came}, not {}", since(due, start)));
        }
        if let Some(wanted) = self.area.as_ref().filter(|a| a.value != area) {
            out.push(format!("its area is {area}, not {}", wanted.value));
        }
        if out.is_empty() {
            return None;
        }
        let slots = [slot::OPEN, slot::OVERDUE, slot::DUE_SOON, slot::AGE_H, slot::CREATED, slot::DUE];
        let values: Vec<String> = slots.iter().map(|s| format!("{} {}", slot::NAMES[*s], text(view.get(*s), start))).collect();
        let mut came = vec![format!("{} {}: {state}, area {area}, {}", case.spec.name, case.subject, values.join(", "))];
        came.extend(gaps.years().map(|(year, _)| format!("registry/calendar.yaml does not know {year}")));
        fail(out.join("; "), came)
    }
}

fn text(value: Value<'_>, start: Timestamp) -> String {
    match value {
        Value::Unknown => "unknown".into(),
        Value::Bool(b) => b.to_string(),
        Value::Num(n) => ((n * 1000.0).round() / 1000.0).to_string(),
        Value::Text(t) => t.into_owned(),
        Value::Time(t) => since(t, start),
    }
}
