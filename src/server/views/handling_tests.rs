//! Why an act was refused, in both languages.

use super::*;
use crate::engine::alert::{AlertBook, Label, Title};
use crate::engine::{AlertChange, AlertId, FieldValue, Key, RowState};
use crate::pipeline::Severity;
use std::sync::Arc;

/// 2026-11-24 07:00 in Vietnam, and so many minutes.
fn at(minute: i64) -> Timestamp {
    Timestamp::from_seconds(1_795_478_400 + 60 * minute)
}

const ID: AlertId = AlertId([1; 16]);

fn change(to: Condition, minute: i64) -> AlertChange {
    AlertChange {
        tick: 1,
        id: ID,
        pipeline: 0,
        rule: 0,
        key: Arc::new(Key { tags: vec![], area: None }),
        from: Condition::Inactive,
        to,
        at: at(minute),
        window_start: at(minute - 1),
        window_end: at(minute),
        row_revision: 0,
        row_state: RowState::Final,
        since: at(0),
        values: vec![FieldValue::Float(1.0)],
        heard: None,
        expected: None,
        rule_version: "1".into(),
        reason: None,
        retroactive: false,
        case: None,
        clauses: Vec::new(),
        positions: Vec::new(),
    }
}

struct Desk(AlertBook);

impl Desk {
    fn change(&mut self, to: Condition, minute: i64) {
        let label =
            Label { pipeline: "p".into(), rule: "r".into(), sector: "traffic".into(), severity: Severity::Major, title: Title::default() };
        self.0.apply_change(&change(to, minute), Some(label), at(minute));
    }

    /// The reason in both languages if it is refused. `behind`: so many versions were not seen.
    fn act(&mut self, by: &str, minute: i64, behind: u32, act: Act) -> Option<(String, String)> {
        let version = self.0.get(ID).unwrap().version - behind;
        let action = Action { alert: ID, version, by: by.into(), note: String::new(), at: at(minute), act };
        let refused = self.0.apply_action(&action, 1, at(minute)).refused?;
        let zone = TimeZone::get("Asia/Ho_Chi_Minh").unwrap();
        let reason = reason(self.0.get(ID).unwrap(), &action, refused, &zone);
        Some((reason.vi, reason.en))
    }
}

#[test]
fn a_refusal_says_who_did_what_and_when() {
    let mut desk = Desk(AlertBook::default());
    let text = |vi: &str, en: &str| Some((vi.to_owned(), en.to_owned()));
    let close = Act::Close { verdict: Verdict::False };
    let tick = |done| Act::Step { step: 2, done };
    desk.change(Condition::Pending, 0);
    assert_eq!(
        desk.act("Lan", 1, 0, close.clone()).unwrap().1,
        "The alert is only pending; no verdict can be given yet. Wait, or write a note."
    );
    desk.change(Condition::Firing, 2);
    let fired = text("Cảnh báo đang diễn ra, từ lúc 07:02. Hãy xem lại.", "The alert is firing since 07:02. Look at it again.");
    assert_eq!(desk.act("Lan", 3, 1, Act::Acknowledge), fired);
    assert_eq!(desk.act("Lan", 3, 0, Act::Unacknowledge).unwrap().1, "Nobody has acknowledged the alert; there is nothing to take back.");
    assert_eq!(desk.act("Lan", 4, 0, Act::Acknowledge), None);
    let done = text("Lan đã xác nhận lúc 07:04.", "Lan acknowledged it at 07:04.");
    assert_eq!(desk.act("Đức", 5, 1, Act::Acknowledge), done);
    desk.change(Condition::NoData, 6);
    assert_eq!(desk.act("Đức", 6, 2, close.clone()), done, "a person's act is told before a condition");
    assert_eq!(desk.act("Lan", 7, 0, Act::Assign { to: "Đội 2".into() }), None);
    let assigned = "Lan đã giao cho Đội 2 lúc 07:07";
    assert_eq!(desk.act("Đức", 8, 0, Act::Unacknowledge).unwrap().0, format!("{assigned}: hãy giao cho người khác hoặc đóng."));
    assert_eq!(desk.act("Đức", 8, 0, Act::Reopen).unwrap().0, "Cảnh báo chưa đóng, không cần mở lại.");
    assert_eq!(desk.act("Lan", 9, 0, tick(true)), None);
    assert_eq!(desk.act("Đức", 9, 0, tick(true)).unwrap().0, "Lan đã đánh dấu bước 3 lúc 07:09.");
    assert_eq!(desk.act("Lan", 10, 0, close.clone()), None);
    let closed = text("Lan đã đóng với kết luận «sai» lúc 07:10.", "Lan closed it as false at 07:10.");
    assert_eq!(desk.act("Đức", 11, 3, close.clone()), closed);
    let closed = text("Lan đã đóng với kết luận «sai» lúc 07:10: hãy mở lại trước.", "Lan closed it as false at 07:10: reopen it first.");
    assert_eq!(desk.act("Đức", 11, 0, tick(false)), closed);
    let yesterday = text("Lan đã đóng với kết luận «sai» lúc 07:10 24/11/2026.", "Lan closed it as false at 07:10 24/11/2026.");
    assert_eq!(desk.act("Đức", 24 * 60, 0, close), yesterday);
}
