//! What operators did to an alert, as the browser sees it, and why an act was refused, as a person reads it.
//!
//! Owns: these words in both languages. Refuses to know: which acts make sense (engine::alert), who asks.
//!
//! Invariants
//! 1. A reason names who did what and when wherever somebody did; times are told in the zone given, to the minute, with the day where it
//!    is another than the refused action's.
//!
//! Called by: views; api (words for the audit).

use crate::engine::alert::{Alert, Handling, Happened, Step};
use crate::engine::{Act, Action, Condition, Refusal, Verdict};
use crate::server::wire::{self, Acknowledgement, Assignment, Closing, HistoryEntry, StepDone, Text};
use crate::time::Timestamp;
use jiff::tz::TimeZone;
use std::collections::BTreeMap;

pub fn handling(handling: Handling) -> wire::Handling {
    match handling {
        Handling::New => wire::Handling::New,
        Handling::Acknowledged => wire::Handling::Acknowledged,
        Handling::Assigned => wire::Handling::Assigned,
        Handling::Closed => wire::Handling::Closed,
    }
}

pub fn acknowledgement(alert: &Alert) -> Option<Acknowledgement> {
    let a = alert.acknowledged.as_ref()?;
    Some(Acknowledgement { by: a.by.clone(), at: a.at.millis(), note: a.note.clone() })
}

pub fn assignment(alert: &Alert) -> Option<Assignment> {
    let a = alert.assigned.as_ref()?;
    Some(Assignment { to: a.to.clone(), by: a.by.clone(), at: a.at.millis(), note: a.note.clone() })
}

pub fn closing(alert: &Alert) -> Option<Closing> {
    let c = alert.closing.as_ref()?;
    Some(Closing { by: c.by.clone(), at: c.at.millis(), verdict: verdict(c.verdict), note: c.note.clone() })
}

pub fn steps(alert: &Alert) -> Vec<StepDone> {
    alert.steps.iter().map(|(step, done)| StepDone { step: *step, by: done.by.clone(), at: done.at.millis() }).collect()
}

pub fn verdict(verdict: Verdict) -> wire::Verdict {
    match verdict {
        Verdict::True => wire::Verdict::True,
        Verdict::False => wire::Verdict::False,
        Verdict::Duplicate => wire::Verdict::Duplicate,
        Verdict::Test => wire::Verdict::Test,
    }
}

/// What a request asks for.
impl From<&wire::ActView> for Act {
    fn from(view: &wire::ActView) -> Act {
        match view {
            wire::ActView::Acknowledge => Act::Acknowledge,
            wire::ActView::Unacknowledge => Act::Unacknowledge,
            wire::ActView::Assign { to } => Act::Assign { to: to.trim().to_owned() },
            wire::ActView::Note => Act::Note,
            wire::ActView::Close { verdict } => Act::Close {
                verdict: match verdict {
                    wire::Verdict::True => Verdict::True,
                    wire::Verdict::False => Verdict::False,
                    wire::Verdict::Duplicate => Verdict::Duplicate,
                    wire::Verdict::Test => Verdict::Test,
                },
            },
            wire::ActView::Reopen => Act::Reopen,
            wire::ActView::Step { step, done } => Act::Step { step: *step, done: *done },
        }
    }
}

/// An act in an alert's history.
pub fn entry(at: Timestamp, act: &Act, by: &str, note: &str) -> HistoryEntry {
    let what = match act {
        Act::Acknowledge => "acknowledged",
        Act::Unacknowledge => "unacknowledged",
        Act::Assign { .. } => "assigned",
        Act::Note => "noted",
        Act::Close { .. } => "closed",
        Act::Reopen => "reopened",
        Act::Step { done: true, .. } => "step_done",
        Act::Step { done: false, .. } => "step_undone",
    };
    HistoryEntry {
        at: at.millis(),
        what: what.to_owned(),
        by: Some(by.to_owned()),
        note: Some(note.to_owned()),
        reason: None,
        values: BTreeMap::new(),
        to: if let Act::Assign { to } = act { Some(to.clone()) } else { None },
        verdict: if let Act::Close { verdict: v } = act { Some(verdict(*v)) } else { None },
        step: if let Act::Step { step, .. } = act { Some(*step) } else { None },
    }
}

/// Why an action on this alert was refused.
pub fn reason(alert: &Alert, action: &Action, refused: Refusal, zone: &TimeZone) -> Text {
    let clock = Clock { zone, now: action.at };
    let plain = |vi: &str, en: &str| Text { vi: vi.to_owned(), en: en.to_owned() };
    match refused {
        Refusal::Unknown => plain("Không có cảnh báo này.", "There is no such alert."),
        Refusal::Stale => clock.newest_of(unseen(alert, action.version)),
        Refusal::Already => match &action.act {
            Act::Step { step, done: true } => {
                let ticked = alert.steps.get(step).map(|s| clock.told(s.at, &action.act, &s.by));
                ticked.unwrap_or_else(|| plain("Bước này đã được đánh dấu.", "This step is ticked already."))
            }
            Act::Step { done: false, .. } => plain("Bước này chưa được đánh dấu.", "This step is not ticked."),
            _ => clock.standing(alert),
        },
        Refusal::Closed => joined(&clock.standing(alert), "hãy mở lại trước.", "reopen it first."),
        Refusal::Open => plain("Cảnh báo chưa đóng, không cần mở lại.", "The alert is not closed; there is nothing to reopen."),
        Refusal::NotAcknowledged => plain(
            "Cảnh báo chưa được xác nhận, không có gì để hoàn tác.",
            "Nobody has acknowledged the alert; there is nothing to take back.",
        ),
        Refusal::Assigned => {
            joined(&clock.standing(alert), "hãy giao cho người khác hoặc đóng.", "assign it to somebody else, or close it.")
        }
        Refusal::Pending => plain(
            "Cảnh báo mới ở mức theo dõi, chưa thể kết luận. Hãy đợi, hoặc ghi chú.",
            "The alert is only pending; no verdict can be given yet. Wait, or write a note.",
        ),
        Refusal::NoSuchStep => plain("Quy trình không có bước này.", "The procedure has no such step."),
    }
}

fn joined(text: &Text, vi: &str, en: &str) -> Text {
    Text { vi: format!("{}: {vi}", text.vi.trim_end_matches('.')), en: format!("{}: {en}", text.en.trim_end_matches('.')) }
}

/// The steps that somebody who saw `version` has not seen, as far as they are kept.
fn unseen(alert: &Alert, version: u32) -> impl DoubleEndedIterator<Item = &Step> {
    let missed = alert.version.saturating_sub(version) as usize;
    alert.history.range(alert.history.len().saturating_sub(missed)..)
}

struct Clock<'a> {
    zone: &'a TimeZone,
    now: Timestamp,
}

impl Clock<'_> {
    /// "14:02", or "14:02 24/11/2026" of another day.
    fn at(&self, at: Timestamp) -> String {
        let zoned = |t: Timestamp| jiff::Timestamp::from_nanosecond(i128::from(t.0)).ok().map(|t| t.to_zoned(self.zone.clone()));
        let Some(then) = zoned(at) else { return at.to_string() };
        let same_day = zoned(self.now).is_some_and(|now| now.date() == then.date());
        then.strftime(if same_day { "%H:%M" } else { "%H:%M %d/%m/%Y" }).to_string()
    }

    fn told(&self, at: Timestamp, act: &Act, by: &str) -> Text {
        let at = self.at(at);
        let (vi, en) = match act {
            Act::Acknowledge => (format!("{by} đã xác nhận"), format!("{by} acknowledged it")),
            Act::Unacknowledge => (format!("{by} đã bỏ xác nhận"), format!("{by} took the acknowledgement back")),
            Act::Assign { to } => (format!("{by} đã giao cho {to}"), format!("{by} assigned it to {to}")),
            Act::Note => (format!("{by} đã ghi chú"), format!("{by} wrote a note")),
            Act::Close { verdict } => {
                let (vi, en) = match verdict {
                    Verdict::True => ("đúng", "true"),
                    Verdict::False => ("sai", "false"),
                    Verdict::Duplicate => ("trùng lặp", "duplicate"),
                    Verdict::Test => ("thử nghiệm", "test"),
                };
                (format!("{by} đã đóng với kết luận «{vi}»"), format!("{by} closed it as {en}"))
            }
            Act::Reopen => (format!("{by} đã mở lại"), format!("{by} reopened it")),
            Act::Step { step, done: true } => (format!("{by} đã đánh dấu bước {}", step + 1), format!("{by} ticked step {}", step + 1)),
            Act::Step { step, done: false } => {
                (format!("{by} đã bỏ đánh dấu bước {}", step + 1), format!("{by} unticked step {}", step + 1))
            }
        };
        Text { vi: format!("{vi} lúc {at}."), en: format!("{en} at {at}.") }
    }

    /// What was missed: the newest act, else the newest change of condition.
    fn newest_of<'s>(&self, missed: impl DoubleEndedIterator<Item = &'s Step>) -> Text {
        let mut condition = None;
        for step in missed.rev() {
            match &step.what {
                Happened::Acted { act, by, .. } => return self.told(step.at, act, by),
                Happened::Condition { to, .. } => condition = condition.or(Some((*to, step.at))),
            }
        }
        let Some((to, at)) = condition else {
            return Text {
                vi: "Cảnh báo đã thay đổi. Hãy xem lại.".to_owned(), en: "The alert has changed. Look at it again.".to_owned()
            };
        };
        let at = self.at(at);
        let (vi, en) = match to {
            Condition::Inactive => ("đã hết trước khi phát", "ended before it fired"),
            Condition::Pending => ("đang được theo dõi", "is pending"),
            Condition::Firing => ("đang diễn ra", "is firing"),
            Condition::NoData => ("mất dữ liệu", "has no data"),
            Condition::Resolved => ("đã hết", "resolved"),
        };
        Text {
            vi: format!("Cảnh báo {vi}, từ lúc {at}. Hãy xem lại."), en: format!("The alert {en} since {at}. Look at it again.")
        }
    }

    /// How it is handled now.
    fn standing(&self, alert: &Alert) -> Text {
        if let Some(closing) = &alert.closing {
            return self.told(closing.at, &Act::Close { verdict: closing.verdict }, &closing.by);
        }
        if let Some(assigned) = &alert.assigned {
            return self.told(assigned.at, &Act::Assign { to: assigned.to.clone() }, &assigned.by);
        }
        match &alert.acknowledged {
            Some(done) => self.told(done.at, &Act::Acknowledge, &done.by),
            None => Text { vi: "Chưa ai xác nhận.".to_owned(), en: "Nobody has acknowledged it.".to_owned() },
        }
    }
}

#[cfg(test)]
#[path = "handling_tests.rs"]
mod tests;
