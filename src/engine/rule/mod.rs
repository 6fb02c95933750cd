//! (skeleton)
use super::{AlertChange, Key, Row};
use crate::pipeline::Pipeline;
use crate::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};
pub trait KeyFacts {
    fn area(&self, key: &Key, attribute: &str) -> Option<String>;
    fn source_attribute(&self, source: &str, attribute: &str, at: Timestamp) -> Option<crate::registry::Attribute>;
    fn cadence(&self, pipeline: usize, window: usize, key: &Key, at: Timestamp) -> Option<Span>;
}
pub struct RuleContext<'a> {
    pub tick: u64, pub time: Timestamp, pub live: bool,
    pub pipelines: &'a [Pipeline],
    pub frontier: &'a [Timestamp],
    pub settled: &'a [Timestamp],
    pub facts: &'a dyn KeyFacts,
}
#[derive(Default)]
pub struct Rules {}
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct RulesSnapshot {}
impl Rules {
    pub fn new(_p: &[Pipeline]) -> Rules { Rules {} }
    pub fn on_rows(&mut self, _c: &RuleContext, _r: &[Row], _o: &mut Vec<AlertChange>) {}
    pub fn on_timers(&mut self, _c: &RuleContext, _o: &mut Vec<AlertChange>) {}
    pub fn next_deadline(&self, _p: &[Pipeline]) -> Option<Timestamp> { None }
    pub fn snapshot(&self) -> RulesSnapshot { RulesSnapshot {} }
    pub fn restore(_s: RulesSnapshot, _p: &[Pipeline]) -> (Rules, Vec<AlertChange>) { (Rules {}, vec![]) }
}
