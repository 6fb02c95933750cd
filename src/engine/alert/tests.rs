//! R8: condition and handling are independent, every step counts, what is over goes in time.

use super::*;
use crate::engine::RowState;
use crate::geo::AreaId;
use crate::pipeline::expr::Value;
use crate::pipeline::{RuleVar, Template, TemplatePart};
use proptest::prelude::*;

fn at(minute: i64) -> Timestamp {
    Timestamp::from_seconds(60 * minute)
}

fn id(n: u32) -> AlertId {
    let mut bytes = [0; 16];
    bytes[..4].copy_from_slice(&n.to_be_bytes());
    AlertId(bytes)
}

fn label() -> Option<Label> {
    let title = Title { vi: "Dòng xe đứng".into(), en: "Traffic at a standstill".into() };
    Some(Label { pipeline: "loops".into(), rule: "jam".into(), sector: "traffic".into(), severity: Severity::Major, title })
}

fn change(n: u32, from: Condition, to: Condition, minute: i64) -> AlertChange {
    AlertChange {
        tick: minute as u64,
        id: id(n),
        pipeline: 0,
        rule: 0,
        key: Arc::new(Key { tags: vec!["24617".into()], area: Some(AreaId(7)) }),
        from,
        to,
        at: at(minute),
        window_start: at(minute - 1),
        window_end: at(minute),
        row_revision: 0,
        row_state: RowState::Final,
        since: at(1),
        values: vec![FieldValue::Float(27.5)],
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

/// A book in which minutes are both event time and tick time.
fn apply(book: &mut AlertBook, n: u32, steps: &[(Condition, Condition, i64)]) {
    for (from, to, minute) in steps {
        book.apply_change(&change(n, *from, *to, *minute), label(), at(*minute));
    }
}

fn act(book: &mut AlertBook, n: u32, version: u32, minute: i64, act: Act) -> Option<Refusal> {
    let action = Action { alert: id(n), version, by: "Lan".into(), note: "đã cử người".into(), at: at(minute), act };
    book.apply_action(&action, minute as u64, at(minute)).refused
}

fn acknowledge(book: &mut AlertBook, n: u32, version: u32, minute: i64) -> Option<Refusal> {
    act(book, n, version, minute, Act::Acknowledge)
}

/// Each act on the version that is there: what became of it, and how the alert is handled then.
fn acts(book: &mut AlertBook, acts: &[Act]) -> Vec<(Option<Refusal>, Handling)> {
    let one = |(minute, what): (i64, &Act)| {
        let version = book.get(id(1)).unwrap().version;
        let refused = act(book, 1, version, minute, what.clone());
        let alert = book.get(id(1)).unwrap();
        assert_eq!(alert.version, version + u32::from(refused.is_none()), "{what:?}");
        assert_eq!(alert.acknowledged.is_some(), alert.handling != Handling::New, "{what:?}");
        assert_eq!(alert.closing.is_some(), alert.handling == Handling::Closed, "{what:?}");
        (refused, alert.handling)
    };
    (10..).zip(acts).map(one).collect()
}

fn assign(to: &str) -> Act {
    Act::Assign { to: to.into() }
}

fn step(step: u32, done: bool) -> Act {
    Act::Step { step, done }
}

/// Shape 1 knew acknowledging only.
#[test]
fn d1_books_of_shape_1_are_read() {
    let mut book = AlertBook::default();
    apply(&mut book, 1, &[(Inactive, Firing, 1), (Firing, Resolved, 2)]);
    acknowledge(&mut book, 1, 2, 3);
    let mut old = serde_json::to_value(book.snapshot()).unwrap();
    old["version"] = 1.into();
    let alert = old["alerts"][0].as_object_mut().unwrap();
    for new in ["assigned", "closing", "steps", "notes", "acted"] {
        alert.remove(new).unwrap();
    }
    let settled = alert.remove("settled").unwrap();
    alert.insert("closed".into(), settled);
    let step = alert["history"][2]["what"].as_object_mut().unwrap();
    let mut acted = step.remove("acted").unwrap();
    acted.as_object_mut().unwrap().remove("act").unwrap();
    step.insert("acknowledged".into(), acted);
    let read = AlertBook::take_over(serde_json::from_value(old).unwrap()).unwrap();
    let mut expected = book.clone();
    expected.alerts.values_mut().for_each(|alert| alert.acted = None);
    assert_eq!(read, expected);
    let unknown = AlertBookSnapshot { version: VERSION + 1, ..book.snapshot() };
    assert_eq!(AlertBook::take_over(unknown), Err(UnreadableBook { found: VERSION + 1 }));
}

/// The journal and checkpoints keep them for two years.
#[test]
fn d2_acts_are_written_as_ever() {
    for (act, text) in [
        (Act::Acknowledge, r#""acknowledge""#),
        (Act::Unacknowledge, r#""unacknowledge""#),
        (assign("Tổ 1"), r#"{"assign":{"to":"Tổ 1"}}"#),
        (Act::Note, r#""note""#),
        (CLOSE, r#"{"close":{"verdict":"false"}}"#),
        (Act::Reopen, r#""reopen""#),
        (step(3, true), r#"{"step":{"step":3,"done":true}}"#),
    ] {
        assert_eq!(serde_json::to_string(&act).unwrap(), text);
        assert_eq!(serde_json::from_str::<Act>(text).unwrap(), act);
        assert!(text.contains(act.name()));
    }
}

const CLOSE: Act = Act::Close { verdict: Verdict::False };

use Condition::{Firing, Inactive, NoData, Pending, Resolved};

#[test]
fn r8_condition_and_handling_are_independent() {
    let mut book = AlertBook::default();
    apply(&mut book, 1, &[(Inactive, Firing, 1)]);
    assert_eq!(acknowledge(&mut book, 1, 1, 2), None);
    apply(&mut book, 1, &[(Firing, NoData, 3), (NoData, Resolved, 4), (Resolved, Firing, 5)]);
    let alert = book.get(id(1)).unwrap();
    assert_eq!((alert.condition, alert.handling, alert.version, alert.resolved), (Firing, Handling::Acknowledged, 5, None));
    let by = Acknowledged { by: "Lan".into(), at: at(2), note: "đã cử người".into() };
    assert_eq!(alert.acknowledged.as_ref(), Some(&by));
    assert_eq!((alert.since, alert.changed, alert.last.to), (at(1), at(5), Firing));
}

#[test]
fn r8_version_rises_with_every_change() {
    let mut book = AlertBook::default();
    for (n, step) in [(Inactive, Pending, 1), (Pending, Firing, 2), (Firing, Resolved, 3)].into_iter().enumerate() {
        apply(&mut book, 1, &[step]);
        assert_eq!(book.get(id(1)).unwrap().version, n as u32 + 1);
    }
    assert_eq!(acknowledge(&mut book, 1, 3, 4), None);
    assert_eq!(book.get(id(1)).unwrap().version, 4);
}

#[test]
fn r8_actions_are_refused_with_a_reason() {
    let mut book = AlertBook::default();
    apply(&mut book, 1, &[(Inactive, Pending, 1), (Pending, Firing, 2)]);
    assert_eq!(acknowledge(&mut book, 9, 1, 3), Some(Refusal::Unknown));
    assert_eq!(acknowledge(&mut book, 1, 1, 3), Some(Refusal::Stale));
    assert_eq!(acknowledge(&mut book, 1, 2, 3), None);
    // twice: already, whatever version was seen
    assert_eq!(acknowledge(&mut book, 1, 2, 4), Some(Refusal::Already));
    assert_eq!(acknowledge(&mut book, 1, 3, 4), Some(Refusal::Already));
    assert_eq!(book.get(id(1)).unwrap().acknowledged.as_ref().map(|a| a.at), Some(at(3)));
}

#[test]
fn r8_alert_that_was_only_pending_goes() {
    let mut book = AlertBook::default();
    apply(&mut book, 1, &[(Inactive, Pending, 1)]);
    assert_eq!(book.apply_change(&change(1, Pending, Inactive, 2), label(), at(2)), Applied::Gone(id(1)));
    assert_eq!(book.apply_change(&change(1, Pending, Inactive, 2), label(), at(2)), Applied::NotHeld);
    assert_eq!(book, AlertBook::default());
}

#[test]
fn r8_history_is_bounded_and_says_so() {
    let mut book = AlertBook::default();
    apply(&mut book, 1, &[(Inactive, Firing, 1)]);
    acknowledge(&mut book, 1, 1, 2);
    for minute in 0..50 {
        apply(&mut book, 1, &[(Firing, NoData, 10 + 2 * minute), (NoData, Firing, 11 + 2 * minute)]);
    }
    let alert = book.get(id(1)).unwrap();
    assert_eq!((alert.history.len(), alert.forgotten, alert.version), (MAX_HISTORY, 102 - MAX_HISTORY as u32, 102));
    assert_eq!(alert.history.back().map(|step| step.at), Some(at(109)));
}

#[test]
fn r8_an_alert_is_owned_from_new_to_a_verdict() {
    use Handling::{Acknowledged, Assigned, Closed, New};
    let mut book = AlertBook::default();
    apply(&mut book, 1, &[(Inactive, Firing, 1)]);
    let told = acts(
        &mut book,
        &[
            Act::Unacknowledge,
            Act::Acknowledge,
            Act::Acknowledge,
            Act::Unacknowledge,
            assign("Đội CSGT số 2"),
            assign("Đội CSGT số 2"),
            Act::Acknowledge,
            Act::Unacknowledge,
            step(2, true),
            step(2, true),
            step(0, false),
            step(MAX_STEPS, true),
            Act::Note,
            Act::Reopen,
            CLOSE,
            CLOSE,
            assign("Tổ 1"),
            step(1, true),
            Act::Note,
            Act::Reopen,
            step(2, false),
        ],
    );
    let expected = [
        (Some(Refusal::NotAcknowledged), New),
        (None, Acknowledged),
        (Some(Refusal::Already), Acknowledged),
        (None, New),
        (None, Assigned),
        (Some(Refusal::Already), Assigned),
        (Some(Refusal::Already), Assigned),
        (Some(Refusal::Assigned), Assigned),
        (None, Assigned),
        (Some(Refusal::Already), Assigned),
        (Some(Refusal::Already), Assigned),
        (Some(Refusal::NoSuchStep), Assigned),
        (None, Assigned),
        (Some(Refusal::Open), Assigned),
        (None, Closed),
        (Some(Refusal::Already), Closed),
        (Some(Refusal::Closed), Closed),
        (Some(Refusal::Closed), Closed),
        (None, Closed),
        (None, Assigned),
        (None, Assigned),
    ];
    assert_eq!(told, expected);
    let alert = book.get(id(1)).unwrap();
    assert_eq!((alert.notes, alert.steps.len(), alert.acted), (2, 0, Some(at(30))));
    assert_eq!(alert.assigned.as_ref().map(|a| (a.to.as_str(), a.at)), Some(("Đội CSGT số 2", at(14))));
}

#[test]
fn r8_reopened_it_is_whose_it_was_and_a_closed_one_stays_closed() {
    let mut book = AlertBook::default();
    apply(&mut book, 1, &[(Inactive, Firing, 1)]);
    assert_eq!(acts(&mut book, &[CLOSE, Act::Reopen]).last(), Some(&(None, Handling::Acknowledged)), "nobody had it");
    assert_eq!(acts(&mut book, &[CLOSE]), [(None, Handling::Closed)]);
    apply(&mut book, 1, &[(Firing, NoData, 20), (NoData, Firing, 21), (Firing, Resolved, 22), (Resolved, Firing, 23)]);
    let alert = book.get(id(1)).unwrap();
    assert_eq!((alert.condition, alert.handling), (Firing, Handling::Closed));
}

#[test]
fn r8_no_verdict_on_what_has_not_fired() {
    let mut book = AlertBook::default();
    apply(&mut book, 1, &[(Inactive, Pending, 1)]);
    let told = acts(&mut book, &[CLOSE, Act::Acknowledge, Act::Note]);
    assert_eq!(told.iter().map(|t| t.0).collect::<Vec<_>>(), [Some(Refusal::Pending), None, None]);
}

/// Nobody overwrites what they have not seen: any act on an old version is refused and changes nothing.
#[test]
fn r8_an_old_version_changes_nothing() {
    let all = [Act::Acknowledge, assign("x"), step(0, true), Act::Note, CLOSE];
    for what in all {
        let mut book = AlertBook::default();
        apply(&mut book, 1, &[(Inactive, Pending, 1), (Pending, Firing, 2)]);
        let before = book.clone();
        for version in [0, 1, 3] {
            assert_eq!(act(&mut book, 1, version, 3, what.clone()), Some(Refusal::Stale), "{what:?}");
        }
        assert_eq!(book, before);
    }
}

#[test]
fn r8_resolved_alerts_go_a_day_after_the_last_thing_that_happened() {
    const DAY: i64 = 24 * 60;
    let mut book = AlertBook::default();
    apply(&mut book, 1, &[(Inactive, Firing, 1), (Firing, Resolved, 10)]);
    apply(&mut book, 2, &[(Inactive, Firing, 1), (Firing, Resolved, 10)]);
    apply(&mut book, 3, &[(Inactive, Firing, 1)]);
    assert_eq!(book.next_expiry(), Some(at(10 + DAY)));
    acknowledge(&mut book, 1, 2, 30);
    acknowledge(&mut book, 3, 1, 5);
    assert_eq!(book.expire(at(10 + DAY - 1)), []);
    assert_eq!(book.expire(at(10 + DAY)), [id(2)]);
    assert_eq!(act(&mut book, 1, 3, 20 + DAY, CLOSE), None, "a verdict still finds it");
    assert_eq!(book.expire(at(20 + 2 * DAY - 1)), []);
    assert_eq!(book.expire(at(20 + 2 * DAY)), [id(1)]);
    assert_eq!((book.next_expiry(), book.iter().count()), (None, 1), "open ones stay");
    // what fires again is open again
    apply(&mut book, 4, &[(Inactive, Firing, 3000), (Firing, Resolved, 3001), (Resolved, Firing, 3002)]);
    assert_eq!((book.next_expiry(), book.expire(at(9000)).len()), (None, 0));
}

#[test]
fn d6_at_most_10_000_resolved_alerts_the_oldest_make_room() {
    let mut book = AlertBook::default();
    apply(&mut book, 0, &[(Inactive, Firing, 1)]);
    for n in 1..=MAX_RESOLVED as u32 + 2 {
        // the third is the oldest, and acknowledged
        let minute = if n == 3 { 1 } else { 2 };
        apply(&mut book, n, &[(Inactive, Firing, minute), (Firing, Resolved, minute)]);
        if n == 3 {
            acknowledge(&mut book, n, 2, 1);
        }
    }
    assert_eq!((book.dropped(), book.iter().count()), (2, MAX_RESOLVED + 1));
    assert!(book.get(id(3)).is_none() && book.get(id(1)).is_none() && book.get(id(2)).is_some() && book.get(id(0)).is_some());
}

#[test]
fn r8_change_of_an_alert_that_is_not_held() {
    let mut book = AlertBook::default();
    // it had gone, and fires again: it begins anew
    apply(&mut book, 1, &[(Resolved, Firing, 1)]);
    assert_eq!(book.get(id(1)).map(|alert| alert.version), Some(1));
    // its rule is gone, and nothing is known of it
    assert_eq!(book.apply_change(&change(2, Firing, Resolved, 1), None, at(1)), Applied::NotHeld);
    // its rule is gone, but it is held: its label stays
    let mut gone = change(1, Firing, Resolved, 2);
    gone.reason = Some(ChangeReason::RuleChanged);
    assert!(matches!(book.apply_change(&gone, None, at(2)), Applied::Now(alert) if Some(&alert.label) == label().as_ref()));
}

#[test]
fn titles_speak_both_languages() {
    struct Facts;
    impl KeyFacts for Facts {
        fn area(&self, _: &Key, part: &str) -> Value<'_> {
            if part == "name" { Value::Text("Gia Nghĩa".into()) } else { Value::Unknown }
        }
        fn source_attribute(&self, source: &str, name: &str, _: Timestamp) -> Value<'_> {
            Value::Text(format!("{source}:{name}").into())
        }
        fn cadence(&self, _: &str, _: Timestamp) -> Option<Span> {
            None
        }
        fn area_of(&self, _: &str) -> Option<AreaId> {
            None
        }
        fn word(&self, tag: &str, code: &str) -> Option<(&str, &str)> {
            (tag == "category" && code == "power").then_some(("điện", "power supply"))
        }
    }
    let key = Key { tags: vec!["24617".into(), "loop-7".into(), "power".into()], area: None };
    let number = |x: f64| {
        let part = || vec![TemplatePart::Var(RuleVar::Field(0))];
        let values = [FieldValue::Float(x)];
        let row = RowView {
            key: &key,
            source_tag: Some(1),
            start: at(0),
            end: at(1),
            values: &values,
            heard: Some(3),
            expected: None,
            case: None,
            earlier: None,
            facts: &Facts,
        };
        let title = render_title(&Template { vi: part(), en: part() }, row, &[], &jiff::tz::TimeZone::UTC);
        (title.vi, title.en)
    };
    for (x, vi, en) in [
        (1234.5, "1.234,5", "1,234.5"),
        (0.0, "0", "0"),
        (-0.001, "0", "0"),
        (-1234567.891, "-1.234.567,89", "-1,234,567.89"),
        (999.999, "1.000", "1,000"),
        (27.0, "27", "27"),
        (0.05, "0,05", "0.05"),
        (f64::NAN, "không rõ", "unknown"),
    ] {
        assert_eq!(number(x), (vi.to_owned(), en.to_owned()), "{x}");
    }
    let row = RowView {
        key: &key,
        source_tag: Some(1),
        start: at(0),
        end: at(1),
        values: &[],
        heard: Some(3),
        expected: None,
        case: None,
        earlier: None,
        facts: &Facts,
    };
    let text = |t: &str| TemplatePart::Text(t.into());
    let vars = [
        RuleVar::Area("name".into()),
        RuleVar::Tag(1),
        RuleVar::Tag(2),
        RuleVar::Heard,
        RuleVar::Expected,
        RuleVar::Field(0),
        RuleVar::SourceAttribute("level".into()),
        RuleVar::End,
    ];
    let en: Vec<_> = vars.into_iter().flat_map(|var| [TemplatePart::Var(var), text(" ")]).collect();
    let title = render_title(
        &Template { vi: vec![TemplatePart::Var(RuleVar::Tag(2)), text(" tại "), TemplatePart::Var(RuleVar::Area("code".into()))], en },
        row,
        &["area", "source", "category"],
        &jiff::tz::TimeZone::UTC,
    );
    assert_eq!(title.vi, "điện tại không rõ");
    assert_eq!(title.en, "Gia Nghĩa loop-7 power supply 3 unknown unknown loop-7:level 1970-01-01 00:01 ");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn d1_book_restored_at_any_step_continues_identically(steps in prop::collection::vec((0..4u32, 0..14u8, 0..900i64), 1..60), cut in 0..60usize) {
        let (mut whole, mut again) = (AlertBook::default(), AlertBook::default());
        // what the journal keeps: changes and acts carried out, with their tick times
        let mut journal: Vec<(Result<AlertChange, HandlingChange>, Timestamp)> = Vec::new();
        let mut now = 1;
        for (i, (n, what, pass)) in steps.iter().enumerate() {
            now += pass;
            if i == cut {
                let text = serde_json::to_string(&again.snapshot()).unwrap();
                again = AlertBook::take_over(serde_json::from_str(&text).unwrap()).unwrap();
            }
            for book in [&mut whole, &mut again] {
                book.expire(at(now));
            }
            let (from, version) = whole.get(id(*n)).map_or((Inactive, 0), |alert| (alert.condition, alert.version));
            let moved = |to| Some(Ok(change(*n, from, to, now)));
            let acted = |version, act| Some(Err(Action { alert: id(*n), version, by: "Lan".into(), note: "x".into(), at: at(now), act }));
            let input = match what {
                0 => moved(Firing),
                1 => moved(Resolved),
                2 if from == Inactive => moved(Pending),
                3 if from == Pending => moved(Inactive),
                4 => acted(version, Act::Acknowledge),
                5 => acted(version, Act::Unacknowledge),
                6 => acted(version, assign(if now % 2 == 0 { "Tổ 1" } else { "Tổ 2" })),
                7 => acted(version, Act::Note),
                8 => acted(version, CLOSE),
                9 => acted(version, Act::Reopen),
                10 => acted(version, step(now as u32 % 3, now % 2 == 0)),
                // somebody who has not seen the last change
                11 => acted(version.saturating_sub(1), step(now as u32 % 3, true)),
                _ => None,
            };
            for book in [&mut whole, &mut again] {
                match &input {
                    Some(Ok(change)) => drop(book.apply_change(change, label(), at(now))),
                    Some(Err(action)) => {
                        let before = book.clone();
                        let handled = book.apply_action(action, now as u64, at(now));
                        prop_assert_eq!(handled.refused.is_some(), *book == before, "a refused act changes nothing");
                    }
                    None => {}
                }
            }
            prop_assert_eq!(&whole, &again);
            // what is listed is held, what is resolved is listed
            let resolved = whole.iter().filter(|alert| alert.condition == Resolved).count();
            prop_assert_eq!(resolved, whole.resolved.len());
            for alert in whole.iter() {
                prop_assert_eq!(alert.acknowledged.is_some(), alert.handling != Handling::New);
                prop_assert_eq!(alert.closing.is_some(), alert.handling == Handling::Closed);
                prop_assert_eq!(alert.history.len() as u32 + alert.forgotten, alert.version);
            }
            journal.extend(input.map(|input| {
                let kept = input.map_err(|action| HandlingChange { tick: now as u64, refused: None, action });
                (kept, at(now))
            }));
        }
        // live is what the journal gives
        let mut replayed = AlertBook::default();
        for (kept, time) in &journal {
            replayed.expire(*time);
            match kept {
                Ok(change) => drop(replayed.apply_change(change, label(), *time)),
                Err(handled) => drop(replayed.apply_action(&handled.action, handled.tick, *time)),
            }
        }
        replayed.expire(at(now));
        whole.expire(at(now));
        prop_assert_eq!(whole, replayed);
    }
}
