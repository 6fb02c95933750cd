//! An alert as other programs are told of it.
//!
//! Owns: what of an alert may leave for elsewhere. Refuses to know: where it goes, its number.
//!
//! Invariants
//! 1. What holds personal data does not leave: its tags and fields are left out, a title that may name any becomes the rule's name.
//!
//! Called by: views (for the gate), api (files of alerts).

use super::Views;
use crate::engine::alert::Alert;
use crate::engine::setup::Setup;
use crate::journal::Told;
use crate::server::wire::AlertView;

impl Views {
    /// Number, tick and time are the journal's.
    pub fn told(&self, alert: &Alert) -> Told {
        let view = without_personal(&self.setup, &self.alert(alert));
        // names and numbers: nothing that JSON cannot say
        let json = serde_json::to_string(&view).unwrap_or_else(|_| "null".to_owned());
        let area = view.area.map(|area| area.code);
        Told { alert: view.id, version: view.version, sector: view.sector, area, json, ..Told::default() }
    }
}

/// What of an alert may leave for elsewhere.
pub fn without_personal(setup: &Setup, alert: &AlertView) -> AlertView {
    let personal = &setup.personal;
    let mut alert = alert.clone();
    let measurement = alert.evidence.measurement.clone();
    alert.key.retain(|tag, _| !personal.tag(&measurement, tag));
    alert.evidence.values.retain(|field, _| !personal.field(&measurement, field));
    if let Some(case) = &alert.evidence.case
        && personal.subject(&alert.pipeline, &case.case)
    {
        alert.key.remove("subject");
    }
    if personal.title(&alert.pipeline, &alert.rule) {
        (alert.title.vi, alert.title.en) = (alert.rule.clone(), alert.rule.clone());
    }
    alert
}
