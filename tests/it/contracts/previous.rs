//! `previous(field, span)`: R7, D1, D6.

use super::{setup, timed};
use crate::support::feed::Sim;
use crate::support::s;
use ioc::time::{Span, Timestamp};
use serde_json::{Value, json};

fn with_rule(timing: &str, window: &str, when: &str) -> String {
    let alert = format!("alerts:\n  - {{alert: more, on: m, when: '{when}', severity: major, title: {{vi: V, en: E}}}}\n");
    timed(timing, &format!("  - {{measurement: m, {window}, by: [source], fields: {{n: count(), x: sum(data.x)}}}}\n{alert}"))
}

fn minutes() -> Sim {
    let mut sim = Sim::new(setup(&with_rule("lateness: 5m\n", "every: 1m", "x > 1.5 * previous(x, \"2m\")")), 1);
    for (minute, x) in [2, 2, 2, 4].into_iter().enumerate() {
        sim.event(0, "t.a", "a", s(60 * minute as i64 + 10), json!({"x": x}));
        sim.restart();
    }
    sim
}

/// R7: a rule sees the same key's window one span earlier, over restarts; where there is none the comparison is unknown.
#[test]
fn r7_previous_is_the_window_a_span_earlier() {
    let mut sim = minutes();
    assert_eq!(sim.event(0, "t.a", "a", s(245), json!({})).changes(s(245)), ["more inactive>firing 240"], "4 > 1.5 * 2 of minute 1");
    // minute 4 has no x, and minute 5 is compared with 4 of minute 3: 4 > 6 is false
    sim.event(0, "t.a", "a", s(310), json!({"x": 4})).event(0, "t.a", "a", s(365), json!({}));
    assert_eq!(sim.changes(s(365)), ["more firing>resolved 360"]);
    // another key has its own past
    sim.event(0, "t.a", "b", s(430), json!({"x": 9})).event(0, "t.a", "a", s(500), json!({}));
    assert_eq!(sim.changes(s(500)), [""; 0]);
}

/// R7: a revision of the earlier row judges the later one again.
#[test]
fn r7_a_revised_past_is_compared_again() {
    let mut sim = minutes();
    sim.event(0, "t.a", "a", s(245), json!({})).step(s(245));
    sim.restart();
    assert_eq!(sim.event(0, "t.a", "a", s(80), json!({"x": 1})).changes(s(246)), ["more firing>resolved 240 Revised"], "4 > 4.5 is false");
    let mut sim = minutes();
    sim.event(0, "t.a", "a", s(70), json!({"x": 5})).event(0, "t.a", "a", s(245), json!({}));
    assert_eq!(sim.changes(s(245)), [""; 0]);
    // what was too much is not any more, since minute 2 gets less than nothing
    assert_eq!(sim.event(0, "t.a", "a", s(90), json!({"x": -5})).changes(s(246)), ["more inactive>firing 240 Revised"]);
}

/// Days are compared by the calendar: a week before lies over the night in which clocks change.
#[test]
fn r7_previous_follows_the_calendar() {
    let text = with_rule("lateness: 1h\ntime_zone: Europe/London\n", "every: 1d, early: 12h", "x > 2 * previous(x, \"1w\")");
    let mut sim = Sim::new(setup(&text), 1);
    let mut time = Timestamp::parse_rfc3339(b"2025-03-27T12:00:00Z").unwrap();
    let mut fired = Vec::new();
    for day in 0..11 {
        let x = if day == 8 { 9 } else { 4 };
        sim.event(0, "t.a", "a", time, json!({"x": x}));
        let effects = sim.step(time);
        fired.extend(effects.changes.iter().map(|c| (c.to, c.window_start.to_string())));
        time = time + Span::days(1);
    }
    let [(ioc::engine::Condition::Firing, start), (ioc::engine::Condition::Resolved, _)] = &fired[..] else { panic!("{fired:?}") };
    assert_eq!(start, "2025-04-03T23:00:00Z");
}

/// D6: what is kept is as long as the span, and goes with keys that are no more.
#[test]
fn d6_the_past_is_bounded() {
    let mut sim = Sim::new(setup(&with_rule("lateness: 10s\n", "every: 1m", "x > previous(x, \"30m\")")), 1);
    let kept = |sim: &Sim| {
        let state = serde_json::to_value(sim.lane.save()).unwrap();
        let rows = state["rules"]["earlier"][0][1]["rows"].as_array().unwrap().clone();
        rows.iter().map(|key: &Value| key[1].as_array().unwrap().len()).collect::<Vec<_>>()
    };
    for minute in 0..200 {
        let source = if minute < 20 { "gone" } else { "a" };
        sim.event(0, "t.a", source, s(60 * minute), json!({"x": minute})).step(s(60 * minute));
        if minute == 19 {
            assert_eq!(kept(&sim).len(), 1);
        }
    }
    let kept = kept(&sim);
    assert!(kept.len() == 1 && (30..=33).contains(&kept[0]), "{kept:?}");
}
