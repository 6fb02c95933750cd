//! Cases as of the last committed tick, and questions about them.
//!
//! Owns: [`CaseShelf`] (filled by the gate, so nothing shows before it is durable) and what a question picks. Refuses to know: how cases
//! move, requests, who signs in.
//!
//! Invariants
//! 1. A question is answered as of one tick: states, due times and ages are those at its time.
//! 2. Answers are ordered by (due, case, subject), cases without a due time last; a page goes on where the last one ended.
//! 3. Nothing outside the asked scope is in an answer.
//!
//! Called by: driver (puts), api/cases.rs (asks).

use super::scope::Scope;
use super::wire::{AreaRef, CaseView, CasesPage};
use crate::engine::case::book::CaseUpdate;
use crate::engine::case::{Case, CaseValue, Gaps, View};
use crate::engine::setup::Setup;
use crate::pipeline::expr::Value;
use crate::time::Timestamp;
use std::collections::BTreeMap;
use std::sync::{Arc, RwLock};

/// Cases of a page at most.
pub const MOST: usize = 500;

type Held = BTreeMap<(u16, u16, Arc<str>), Arc<Case>>;

/// By (pipeline, case, subject).
pub struct CaseShelf {
    setup: Arc<Setup>,
    held: RwLock<(Timestamp, Held)>,
}

/// What is asked; `None`: any.
#[derive(Clone, Debug, Default)]
pub struct CaseQuery {
    pub case: Option<String>,
    pub subject: Option<String>,
    pub state: Option<String>,
    pub open: Option<bool>,
    pub overdue: Option<bool>,
    pub due_soon: Option<bool>,
    /// An area or group: what lies within.
    pub area: Option<String>,
    pub limit: usize,
    /// `CasesPage::next` of the page before.
    pub after: Option<String>,
}

impl CaseShelf {
    pub fn new(setup: Arc<Setup>) -> CaseShelf {
        CaseShelf { setup, held: RwLock::default() }
    }

    /// What a committed tick changed.
    pub fn put(&self, time: Timestamp, updates: Vec<CaseUpdate>) {
        let mut held = self.held.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        held.0 = time;
        for CaseUpdate { pipeline, case, subject, now } in updates {
            let place = (pipeline, case, subject);
            match now {
                Some(now) => held.1.insert(place, now),
                None => held.1.remove(&place),
            };
        }
    }

    /// Everything anew: the state at a start.
    pub fn fill(&self, time: Timestamp, all: Vec<CaseUpdate>) {
        self.held.write().unwrap_or_else(std::sync::PoisonError::into_inner).1.clear();
        self.put(time, all);
    }

    pub fn ask(&self, query: &CaseQuery, scope: &Scope, within: &dyn Fn(&str, &str) -> bool) -> CasesPage {
        // shallow: histories are shared
        let (time, held) = self.held.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        let picked = held.iter().filter_map(|((p, c, subject), case)| self.view((*p, *c), subject, case, time, query));
        let inside = |view: &CaseView| {
            let code = view.area.as_ref().map(|a| a.code.as_str());
            scope.sees(&view.sector, code) && query.area.as_ref().is_none_or(|area| code.is_some_and(|code| within(code, area)))
        };
        let mut picked: Vec<(String, CaseView)> = picked.filter(inside).map(|view| (place(&view), view)).collect();
        picked.sort_by(|a, b| a.0.cmp(&b.0));
        let total = picked.len() as u32;
        if let Some(after) = &query.after {
            picked.retain(|(place, _)| place > after);
        }
        let limit = query.limit.clamp(1, MOST);
        let next = (picked.len() > limit).then(|| picked[limit - 1].0.clone());
        picked.truncate(limit);
        CasesPage { time: time.millis(), total, cases: picked.into_iter().map(|(_, view)| view).collect(), next }
    }

    /// `None`: it is not asked for.
    fn view(&self, (p, c): (u16, u16), subject: &Arc<str>, case: &Case, time: Timestamp, query: &CaseQuery) -> Option<CaseView> {
        let pipeline = self.setup.pipelines.get(usize::from(p))?;
        let spec = pipeline.cases.get(usize::from(c))?;
        if query.case.as_ref().is_some_and(|name| *name != spec.name) || query.subject.as_ref().is_some_and(|s| **s != **subject) {
            return None;
        }
        let standing = case.at(time)?;
        let state = spec.states.get(usize::from(standing.entry.state))?;
        let open = spec.is_open(standing.entry.state);
        let differs = |asked: Option<bool>, is: bool| asked.is_some_and(|asked| asked != is);
        if query.state.as_ref().is_some_and(|asked| asked != state) || differs(query.open, open) {
            return None;
        }
        let view = View::new(spec, &self.setup.registry, subject, standing, time, &mut Gaps::default());
        let overdue = open && view.due.is_some_and(|due| time >= due);
        let due_soon = open && !overdue && view.soon.is_some_and(|soon| time >= soon);
        if differs(query.overdue, overdue) || differs(query.due_soon, due_soon) {
            return None;
        }
        let text = |value: &CaseValue| match value.value() {
            Value::Unknown => None,
            value => value.text().map(|t| t.into_owned()),
        };
        let values = spec.values.iter().zip(&standing.entry.values);
        Some(CaseView {
            case: spec.name.clone(),
            subject: subject.to_string(),
            pipeline: pipeline.name.clone(),
            sector: pipeline.sector.clone(),
            state: state.clone(),
            open,
            area: standing.area.map(|id| {
                let area = self.setup.registry.areas.area(id);
                AreaRef { code: area.code.clone(), name: area.name.clone() }
            }),
            created: standing.created.millis(),
            since: standing.entry.time.millis(),
            due: view.due.map(Timestamp::millis),
            overdue,
            due_soon,
            values: values.filter_map(|(name, value)| Some((name.clone(), text(value)?))).collect(),
        })
    }
}

/// Where a case stands in the order of answers, as text that sorts so.
fn place(view: &CaseView) -> String {
    // times of 1900 to 2200 have at most 13 digits and a sign: moved above zero they sort as texts
    let due = view.due.map_or(9_999_999_999_999, |due| due + 2_500_000_000_000);
    format!("{due:013}/{}/{}", view.case, view.subject)
}
