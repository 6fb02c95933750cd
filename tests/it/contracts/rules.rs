//! R6 to R8 end to end: expressions from YAML, rows, changes, titles, operators.

use super::{pipeline, setup, timed, with_registry};
use crate::support::feed::Sim;
use crate::support::{change_line, s};
use ioc::engine::alert::Handling;
use ioc::engine::rule::alert_id;
use ioc::engine::{Act, Action, AlertChange, Condition, FieldValue, Key, Positions, Refusal, RowState};
use serde_json::{Value, json};

const WINDOW: &str = "  - {measurement: m, every: 1m, by: [source], fields: {n: count(), x: mean(data.x), y: max(data.x)}}\n";

fn ruled(rule: &str) -> String {
    let title = "severity: major, title: {vi: \"Nóng {x} ở {source}\", en: \"Hot {x} at {source}\"}";
    format!("{}alerts:\n  - {{alert: hot, on: m, {rule}, {title}}}\n", pipeline(WINDOW))
}

/// One value a minute in the middle of the window (null: no observation; none: no event), each window fired by the next minute's event
/// of another source; the changes of all.
fn changes(rule: &str, values: &[Option<Value>]) -> Vec<String> {
    let mut sim = Sim::new(setup(&ruled(rule)), 1);
    let mut found = Vec::new();
    for (minute, x) in (0..).zip(values) {
        if let Some(x) = x {
            sim.event(0, "t.a", "a", s(minute * 60 + 30), json!({"x": x}));
        }
        found.extend(sim.event(0, "t.a", "pulse", s(minute * 60 + 65), json!({"x": null})).changes(s(minute * 60 + 65)));
    }
    found
}

fn table(rule: &str, values: &[i64], expected: &[&str]) {
    let values: Vec<_> = values.iter().map(|x| Some(json!(x))).collect();
    assert_eq!(changes(rule, &values), expected, "{rule} over {values:?}");
}

/// R7: `for` is measured between window ends: the first true row at least `for` after the first of an unbroken run.
#[test]
fn r7_for_is_measured_between_window_ends() {
    table("when: x > 5", &[9], &["hot inactive>firing 60"]);
    table("when: x > 5, for: 2m", &[9, 9, 9], &["hot inactive>pending 60", "hot pending>firing 180"]);
    table("when: x > 5, for: 90s", &[9, 9, 9], &["hot inactive>pending 60", "hot pending>firing 180"]);
    table("when: x > 5, for: 2m", &[9, 9, 1, 9, 9], &["hot inactive>pending 60", "hot pending>inactive 180", "hot inactive>pending 240"]);
}

/// R7: without `until` a false `when` resolves; with it only `until` does.
#[test]
fn r7_until() {
    table("when: x > 5", &[9, 4, 9], &["hot inactive>firing 60", "hot firing>resolved 120", "hot inactive>firing 180"]);
    table("when: x > 5, until: x < 2", &[9, 4, 3, 1], &["hot inactive>firing 60", "hot firing>resolved 240"]);
}

/// R7, R6: a missing row and an unknown verdict neither break a run nor fire; `known` asks.
#[test]
fn r7_r6_unknown_neither_breaks_nor_fires() {
    let (nine, null) = (Some(json!(9)), Some(Value::Null));
    let fired = ["hot inactive>pending 60", "hot pending>firing 180"];
    assert_eq!(changes("when: x > 5, for: 2m", &[nine.clone(), null.clone(), nine.clone()]), fired, "an unknown verdict");
    assert_eq!(changes("when: x > 5, for: 2m", &[nine.clone(), None, nine.clone()]), fired, "a missing row");
    assert_eq!(changes("when: x > 5, for: 1m", &[nine.clone(), null.clone(), null.clone()]), fired[..1], "unknown does not fire");
    assert_eq!(changes("when: x > 5", &[nine.clone(), null.clone()]), ["hot inactive>firing 60"], "unknown does not clear");
    assert_eq!(
        changes("when: n > 0 && !known(x), until: known(x)", &[null, nine])[..2],
        ["hot inactive>firing 60", "hot firing>resolved 120"]
    );
}

/// R7: when no row has come for `no_data`, default 3 × the longer of `every` and cadence, pending ends, firing turns no data and stays
/// open; a row that meets `until` resolves it.
#[test]
fn r7_no_data() {
    let nine = || Some(json!(9));
    let quiet = |n: usize, first: Vec<Option<Value>>| first.into_iter().chain(vec![None; n]).collect::<Vec<_>>();
    let silent = ["hot inactive>firing 60", "hot firing>no data 240 NoData"];
    assert_eq!(changes("when: x > 5", &quiet(2, vec![nine()])), silent[..1], "a window that ends at 180 has fired, not one at 240");
    assert_eq!(changes("when: x > 5", &quiet(3, vec![nine()])), silent);
    assert_eq!(changes("when: x > 5, no_data: 1m", &quiet(1, vec![nine()])), ["hot inactive>firing 60", "hot firing>no data 120 NoData"]);
    assert_eq!(changes("when: x > 5, for: 5m", &quiet(3, vec![nine()])), ["hot inactive>pending 60", "hot pending>inactive 240 NoData"]);
    let mut back = quiet(3, vec![nine()]);
    back.extend([Some(json!(8)), Some(json!(1))]);
    let rule = "when: x > 5, until: x < 2";
    assert_eq!(changes(rule, &back), [silent[0], silent[1], "hot no data>firing 300", "hot firing>resolved 360"]);
    let mut resolved = quiet(3, vec![nine()]);
    resolved.push(Some(json!(1)));
    assert_eq!(changes(rule, &resolved)[2..], ["hot no data>resolved 300"]);
}

/// R7: no data is 3 × the cadence of the key's source where that is longer.
#[test]
fn r7_no_data_follows_the_cadence() {
    let text = pipeline("  - {measurement: m, every: 1m, by: [source], fields: {x: mean(data.x)}}\n")
        + "alerts:\n  - {alert: hot, on: m, when: x > 5, severity: minor, title: {vi: V, en: E}}\n";
    let mut sim = Sim::new(with_registry(&text), 1);
    sim.event(0, "t.a", "s1", s(30), json!({"x": 9})).event(0, "t.a", "pulse", s(65), json!({})).step(s(65));
    assert_eq!(sim.event(0, "t.a", "pulse", s(604), json!({})).changes(s(604)), [""; 0]);
    assert_eq!(sim.event(0, "t.a", "pulse", s(605), json!({})).changes(s(605)), ["hot firing>no data 600 NoData"], "60 + 3 × 3 min");
}

/// R7: silence is found where all are idle as soon as a window that ended then would fire; no tick need lie between.
#[test]
fn r7_no_data_of_an_idle_lane() {
    let mut sim = Sim::new(setup(&ruled("when: x > 5")), 1);
    sim.event(0, "t.a", "a", s(30), json!({"x": 9})).step(s(30));
    let mut found = Vec::new();
    for _ in 0..9 {
        let Some(next) = sim.lane.next_deadline() else { break };
        found.extend(sim.changes(next).into_iter().map(|c| (next, c)));
    }
    assert_eq!(found, [(s(65), "hot inactive>firing 60".to_owned()), (s(245), "hot firing>no data 240 NoData".to_owned())]);
}

/// R7: time in which a partition could not be read is no silence.
#[test]
fn r7_unreadable_is_not_silent() {
    let mut sim = Sim::new(setup(&ruled("when: x > 5")), 1);
    sim.event_at(0, s(30), "a", s(30), json!({"x": 9})).event_at(0, s(65), "a", s(65), json!({}));
    sim.partition(0).read_time = Some(s(65));
    assert_eq!(sim.changes(s(65)), ["hot inactive>firing 60"]);
    sim.partition(0).unreadable = true;
    assert_eq!(sim.changes(s(2000)), [""; 0]);
    sim.partition(0).unreadable = false;
    sim.partition(0).read_time = Some(s(2001));
    assert_eq!(sim.changes(s(2001)).len(), 1, "it can be read, and nothing is there");
}

/// R7: final and incomplete rows count, provisional ones where the rule says `early`, and only to raise.
#[test]
fn r7_provisional_rows() {
    for (early, expected) in [("", &[][..]), ("early: true, ", &["hot inactive>firing 3600"][..])] {
        let text = pipeline("  - {measurement: h, every: 1h, fields: {n: count(), x: last(data.x)}}\n")
            + &format!("alerts:\n  - {{alert: hot, on: h, when: x > 5, {early}severity: minor, title: {{vi: V, en: E}}}}\n");
        let mut sim = Sim::new(setup(&text), 1);
        sim.event(0, "t.a", "a", s(10), json!({"x": 9})).step(s(10));
        assert_eq!(sim.changes(s(70)), expected);
        assert_eq!(sim.event(0, "t.a", "a", s(80), json!({"x": 1})).changes(s(140)), [""; 0], "a provisional row clears nothing");
    }
    let mut sim = Sim::new(setup(&ruled("when: x > 5")), 2);
    for second in (0..186).step_by(20) {
        sim.event(1, "t.a", "behind", s(1), json!({"x": null})).event(0, "t.a", "a", s(second), json!({"x": 9})).step(s(second));
    }
    assert_eq!(sim.changes(s(185)), ["hot inactive>firing 60"], "incomplete rows count");
}

/// R7: a revision runs the kept verdicts again: what now stands fires now with its true `since`; a raised alert is only resolved, *revised*;
/// one that would have begun and ended is retroactive.
#[test]
fn r7_revisions() {
    let text = |rule: &str| {
        timed("lateness: 10m\n", WINDOW)
            + &format!("alerts:\n  - {{alert: hot, on: m, {rule}, severity: major, title: {{vi: V, en: E}}}}\n")
    };
    let start = |rule: &str, values: &[i64]| {
        let mut sim = Sim::new(setup(&text(rule)), 1);
        for (minute, x) in (0..).zip(values) {
            sim.event(0, "t.a", "a", s(minute * 60 + 30), json!({"x": x}));
        }
        let end = values.len() as i64 * 60 + 5;
        let found = sim.event(0, "t.a", "pulse", s(end), json!({})).changes(s(end));
        (sim, found)
    };
    // minute 1 turns true: a run of three
    let (mut sim, found) = start("when: y > 5, for: 2m", &[9, 1, 9]);
    assert_eq!(found, ["hot inactive>pending 60", "hot pending>inactive 120", "hot inactive>pending 180"]);
    let effects = sim.event(0, "t.a", "a", s(70), json!({"x": 9})).step(s(200));
    let last = effects.changes.last().unwrap();
    assert_eq!((last.to, last.since, last.reason), (Condition::Firing, s(60), Some(ioc::engine::ChangeReason::Revised)));
    // the only true minute turns false
    let (mut sim, found) = start("when: x > 5, until: x < -9", &[9, 3]);
    assert_eq!(found, ["hot inactive>firing 60"]);
    assert_eq!(sim.event(0, "t.a", "a", s(31), json!({"x": -9})).changes(s(130)), ["hot firing>resolved 60 Revised"]);
    // begun and ended before it was found
    let (mut sim, found) = start("when: y > 5", &[1, 1, 1]);
    assert_eq!(found, [""; 0]);
    assert_eq!(
        sim.event(0, "t.a", "a", s(70), json!({"x": 9})).changes(s(200)),
        ["hot inactive>firing 120 Revised retroactive", "hot firing>resolved 180 Revised retroactive"]
    );
}

/// R8: the id is hash(pipeline, alert, key, start of the first true window); every change stores its evidence; titles read the row.
#[test]
fn r8_identity_and_evidence() {
    let mut sim = Sim::new(setup(&ruled("when: x > 5, for: 1m, until: x < 2")), 1);
    sim.event(0, "t.a", "a", s(30), json!({"x": 9})).event(0, "t.a", "a", s(90), json!({"x": 7.25}));
    let effects = sim.event(0, "t.a", "pulse", s(125), json!({})).step(s(125));
    let (pending, firing) = (&effects.changes[0], &effects.changes[1]);
    let key = Key { tags: vec!["a".into()], area: None };
    assert_eq!(pending.id, alert_id("p", "hot", &key, s(0)));
    assert_eq!(firing.id, pending.id);
    assert_eq!(
        (firing.window_start, firing.window_end, firing.row_revision, firing.row_state, firing.since),
        (s(60), s(120), 0, RowState::Final, s(60))
    );
    assert_eq!(firing.values, [FieldValue::Int(1), FieldValue::Float(7.25), FieldValue::Float(7.25)]);
    assert_eq!(&*firing.rule_version, &sim.setup.pipelines[0].rules[0].version);
    let title = &effects.alerts[1].label.title;
    assert_eq!((title.vi.as_str(), title.en.as_str()), ("Nóng 7,25 ở a", "Hot 7.25 at a"));
}

/// R8: each clause of `when` as it was judged on the deciding row, and where that row's events lie.
#[test]
fn r8_clauses_and_positions_are_evidence() {
    let mut sim = Sim::new(setup(&ruled("when: \"(5 < x || y - x > 100) && (!known(x) || n >= 2) && source != \\\"b\\\"\"")), 2);
    type Judged = (String, Option<f64>, Option<f64>, Option<bool>);
    let clauses =
        |change: &AlertChange| -> Vec<Judged> { change.clauses.iter().map(|c| (c.text.to_string(), c.value, c.limit, c.truth)).collect() };
    sim.event(0, "t.a", "other", s(5), json!({"x": 1})).event(0, "t.a", "a", s(10), json!({"x": 9}));
    sim.event(1, "t.a", "a", s(20), json!({"x": 8})).event(0, "t.a", "a", s(30), json!({"x": 7}));
    let fired = sim.event(0, "t.a", "pulse", s(65), json!({})).event(1, "t.a", "pulse", s(65), json!({})).step(s(65));
    let text = |clause: &str| clause.to_owned();
    let expected = [
        (text("5 < x"), Some(8.0), Some(5.0), Some(true)),
        (text("y - x > 100"), Some(1.0), Some(100.0), Some(false)),
        (text("!known(x)"), None, None, Some(false)),
        (text("n >= 2"), Some(3.0), Some(2.0), Some(true)),
        (text("source != \"b\""), None, None, Some(true)),
    ];
    assert_eq!(clauses(&fired.changes[0]), expected);
    let at = |partition, from, to| Positions { partition, from, to };
    assert_eq!(fired.changes[0].positions, [at(0, 0, 3), at(1, 0, 1)], "the window's events of each partition that has the key");
    // resolved by a row of one partition; what is unknown says so
    sim.event(1, "t.a", "a", s(80), json!({"x": null})).event(1, "t.a", "a", s(90), json!({"x": 2}));
    let resolved = sim.event(0, "t.a", "pulse", s(125), json!({})).event(1, "t.a", "pulse", s(125), json!({})).step(s(125));
    assert_eq!((resolved.changes[0].to, &resolved.changes[0].positions[..]), (Condition::Resolved, &[at(1, 1, 4)][..]));
    assert_eq!(clauses(&resolved.changes[0])[0], (text("5 < x"), Some(2.0), Some(5.0), Some(false)));
}

/// R8: rules and titles see areas and attributes of the registry.
#[test]
fn r8_titles_name_areas() {
    let text = pipeline("  - {measurement: m, every: 1m, by: [area, source], fields: {x: mean(data.x)}}\n")
        + "alerts:\n  - {alert: hot, on: m, when: x > 5 && area.code == \"A\", severity: minor, title: {vi: \"Tại {area.name}\", en: \"In {area.name}: {y}\"}}\n".replace(": {y}", "").as_str();
    let mut sim = Sim::new(with_registry(&text), 1);
    sim.event(0, "t.a", "s0", s(30), json!({"x": 9})).event(0, "t.a", "s1", s(30), json!({"x": 9}));
    let effects = sim.event(0, "t.a", "s0", s(65), json!({})).step(s(65));
    let titles: Vec<_> = effects.alerts.iter().map(|a| a.label.title.vi.as_str()).collect();
    assert_eq!(titles, ["Tại Area A"]);
}

/// R8: condition and handling are independent; actions are inputs of a tick; a stale, double or unknown one is refused with its reason.
#[test]
fn r8_operators_actions() {
    let mut sim = Sim::new(setup(&ruled("when: x > 5")), 1);
    sim.event(0, "t.a", "a", s(30), json!({"x": 9})).event(0, "t.a", "a", s(65), json!({"x": 1}));
    let alert = sim.step(s(65)).alerts[0].clone();
    let act = |version, id| Action { alert: id, version, by: "Lan".into(), note: "đã gọi".into(), at: s(66), act: Act::Acknowledge };
    let stranger = alert_id("p", "hot", &Key { tags: vec![], area: None }, s(0));
    let actions = vec![act(alert.version + 1, alert.id), act(alert.version, alert.id), act(alert.version + 1, alert.id), act(1, stranger)];
    let handled = sim.step_with(s(66), actions, Vec::new());
    let refused: Vec<_> = handled.handled.iter().map(|h| h.refused).collect();
    assert_eq!(refused, [Some(Refusal::Stale), None, Some(Refusal::Already), Some(Refusal::Unknown)]);
    let held = sim.lane.core.book().get(alert.id).unwrap();
    assert_eq!(
        (held.condition, held.handling, held.acknowledged.as_ref().unwrap().by.as_str()),
        (Condition::Firing, Handling::Acknowledged, "Lan")
    );
    let resolved = sim.event(0, "t.a", "a", s(125), json!({})).step(s(125));
    assert_eq!(resolved.changes.iter().map(|c| change_line(&sim.setup, c)).collect::<Vec<_>>(), ["hot firing>resolved 120"]);
    assert_eq!((resolved.alerts[0].condition, resolved.alerts[0].handling), (Condition::Resolved, Handling::Acknowledged));
}

/// D6, R8: a resolved alert leaves the book by tick time alone: an action in the tick that passes its time finds it gone, whatever ticks lay between.
#[test]
fn d6_the_book_lets_go_by_tick_time() {
    for between in [false, true] {
        let mut sim = Sim::new(setup(&ruled("when: x > 5")), 1);
        sim.event(0, "t.a", "a", s(30), json!({"x": 9})).event(0, "t.a", "a", s(90), json!({"x": 1})).event(
            0,
            "t.a",
            "a",
            s(125),
            json!({}),
        );
        let alert = sim.step(s(125)).alerts[1].clone();
        let day = 24 * 3600 + 125;
        if between {
            sim.step(s(day));
        }
        let act =
            Action { alert: alert.id, version: alert.version, by: "Lan".into(), note: String::new(), at: s(day), act: Act::Acknowledge };
        assert_eq!(sim.step_with(s(day), vec![act], Vec::new()).handled[0].refused, Some(Refusal::Unknown), "a tick between: {between}");
    }
}
