//! (skeleton)
use super::{Action, AlertChange, HandlingChange};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
#[derive(Default)]
pub struct AlertBook {}
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct AlertBookSnapshot {}
impl AlertBook {
    pub fn apply_change(&mut self, _c: &AlertChange) {}
    pub fn apply_action(&mut self, a: &Action, tick: u64) -> HandlingChange { HandlingChange { tick, action: a.clone(), refused: None } }
    pub fn expire(&mut self, _t: Timestamp) {}
    pub fn snapshot(&self) -> AlertBookSnapshot { AlertBookSnapshot {} }
    pub fn restore(_s: AlertBookSnapshot) -> AlertBook { AlertBook {} }
}
