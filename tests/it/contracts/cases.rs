//! R9: cases are (type, subject); their state does not depend on the order in which events come; gauges and alerts follow.

use crate::support::feed::Sim;
use crate::support::{T0, Values, change_line, setup};
use ioc::engine::RowState;
use ioc::engine::case::book::CaseRef;
use ioc::engine::lane::{Effects, Lane};
use ioc::engine::setup::Setup;
use ioc::time::{Span, Timestamp};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::{Arc, LazyLock};

const REPORTS: &str = "
pipeline: reports
sector: public
from: [r.state]
out_of_orderness: 10s
lateness: 10m
cases:
  - case: report
    state: data.state
    open: [created, assigned, reopened]
    closed: [closed]
    due: \"data.due_at, else working(created_at, sla[data.kind])\"
    sla: reports
    due_soon: 1h
    keep: 1d
windows:
  - measurement: flow
    every: 5m
    by: [data.kind]
    fields: {created: countif(data.state == \"created\")}
  - measurement: open
    gauge: report
    every: 5m
    by: [area, data.kind]
    fields: {open: count(), waiting: countif(state == \"created\"), overdue: countif(overdue), soon: countif(due_soon), oldest: max(age_h), weight: sum(data.w)}
alerts:
  - {alert: waiting, case: report, in: created, for: 30m, severity: minor, title: {vi: \"Chờ {subject}: {data.kind}\", en: \"Waiting {subject}: {data.kind}\"}}
  - {alert: soon, case: report, when: due_soon, severity: notice, title: {vi: \"Sắp đến hạn {subject}, hạn {due}\", en: \"Due soon {subject}, at {due}\"}}
  - {alert: late, case: report, when: overdue, severity: major, title: {vi: \"Quá hạn {subject} tại {area.name}\", en: \"Overdue {subject} in {area.name}\"}}
  - {alert: many, on: open, when: open > 2, severity: notice, title: {vi: Nhiều, en: Many}}
";

const CALENDAR: &str = "
working_hours:
  - {days: [mon, tue, wed, thu, fri], from: \"07:30\", to: \"11:30\"}
  - {days: [mon, tue, wed, thu, fri], from: \"13:30\", to: \"17:30\"}
holidays:
  2025: [{date: 2025-09-02, vi: Quốc khánh, en: National Day}]
limits:
  reports: {default: 16 working hours, road: 2 working hours}
";

fn reports() -> Arc<Setup> {
    setup(&[
        ("pipelines/reports.yaml", REPORTS),
        ("registry/calendar.yaml", CALENDAR),
        ("registry/areas/a.geojson", crate::support::sets::AREAS),
    ])
}

static SETUP: LazyLock<Arc<Setup>> = LazyLock::new(reports);

fn step(subject: &str, id: &str, time: Timestamp, state: &str, more: Value) -> Vec<u8> {
    let mut data = json!({"state": state, "kind": "light"});
    if let (Value::Object(data), Value::Object(more)) = (&mut data, more) {
        data.extend(more);
    }
    let event = json!({"specversion": "1.0", "type": "r.state", "source": "app", "id": id, "subject": subject, "time": time.to_string(), "data": data});
    event.to_string().into_bytes()
}

/// "subject state" of every case at an instant.
fn states(lane: &Lane, at: Timestamp) -> Vec<String> {
    let shown = |c: CaseRef<'_>| {
        let standing = c.case.at(at)?;
        Some(format!("{} {}", c.subject, c.spec.states[usize::from(standing.entry.state)]))
    };
    lane.core.cases().iter(&lane.setup.pipelines).filter_map(shown).collect()
}

fn minutes(n: i64) -> Timestamp {
    T0 + Span::minutes(n)
}

/// One partition whose clock and records the test tells.
fn quiet(sim: &mut Sim, at: Timestamp) -> Effects {
    sim.partition(0).read_time = Some(at);
    sim.step(at)
}

#[test]
fn r9_a_gauge_counts_what_is_open_at_the_end_of_each_window_also_when_nothing_comes() {
    let mut sim = Sim::new(reports(), 1);
    sim.give(0, Some(minutes(1)), step("A", "1", minutes(1), "created", json!({"w": 2})));
    sim.give(0, Some(minutes(2)), step("B", "2", minutes(2), "created", json!({"kind": "road", "lon": 0.5, "lat": 0.5})));
    quiet(&mut sim, minutes(2));
    assert_eq!(sim.rows(minutes(3)), Vec::<String>::new());
    sim.partition(0).read_time = Some(minutes(6));
    let fired = sim.rows(minutes(6));
    let gauge: Vec<_> = fired.iter().filter(|r| r.starts_with("open")).cloned().collect();
    assert_eq!(
        gauge,
        [
            "open,area=A,kind=road 0 open=1i,waiting=1i,overdue=0i,soon=0i,oldest=0.05 final r0",
            "open,area=outside,kind=light 0 open=1i,waiting=1i,overdue=0i,soon=0i,oldest=0.06666666666666667,weight=2.0 final r0",
        ]
    );
    // B is closed: its count goes to 0 once, then its row is no more
    sim.give(0, Some(minutes(8)), step("B", "3", minutes(8), "closed", json!({"kind": "road"})));
    let row = |rows: Vec<String>| rows.into_iter().filter(|r| r.starts_with("open,area=A")).collect::<Vec<_>>();
    sim.partition(0).read_time = Some(minutes(11));
    assert_eq!(row(sim.rows(minutes(11))), ["open,area=A,kind=road 300 open=0i,waiting=0i,overdue=0i,soon=0i final r0"]);
    sim.partition(0).read_time = Some(minutes(16));
    assert_eq!(row(sim.rows(minutes(16))), Vec::<String>::new());
}

#[test]
fn r9_a_late_event_revises_the_rows_that_can_still_change_and_is_counted_late() {
    let mut sim = Sim::new(reports(), 1);
    sim.give(0, Some(minutes(1)), step("A", "1", minutes(1), "created", json!({})));
    sim.give(0, Some(minutes(31)), step("B", "2", minutes(31), "created", json!({})));
    sim.partition(0).read_time = Some(minutes(31));
    let fired = sim.rows(minutes(31));
    assert_eq!(fired.iter().filter(|r| r.starts_with("open")).count(), 6, "{fired:?}");
    // out of its own flow window by T3, yet the case takes it; windows ending after 07:20:50 take it too
    sim.give(0, Some(minutes(31)), step("A", "3", minutes(12), "assigned", json!({})));
    let revised = sim.rows(minutes(31) + Span::seconds(1));
    assert_eq!(
        revised,
        [
            "open,area=outside,kind=light 1200 open=1i,waiting=0i,overdue=0i,soon=0i,oldest=0.4 final r1",
            "open,area=outside,kind=light 1500 open=1i,waiting=0i,overdue=0i,soon=0i,oldest=0.48333333333333334 final r1",
        ]
    );
    let counts = sim.lane.counts(0);
    assert_eq!((counts.late, counts.accepted, counts.cases[0].taken), (1, 2, 3));
    assert_eq!(states(&sim.lane, minutes(11)), ["A created"]);
    assert_eq!(states(&sim.lane, minutes(31)), ["A assigned", "B created"]);
}

#[test]
fn t0_an_event_that_only_a_case_wants_is_wanted_and_an_unknown_state_is_counted() {
    let text = REPORTS.replace("    by: [data.kind]\n", "    where: data.w > 100\n    by: [data.kind]\n");
    let setup = setup(&[("pipelines/reports.yaml", &text), ("registry/calendar.yaml", CALENDAR)]);
    let mut sim = Sim::new(setup, 1);
    sim.give(0, None, step("A", "1", minutes(1), "created", json!({})));
    sim.give(0, None, step("A", "1", minutes(1), "created", json!({})));
    sim.give(0, None, step("A", "2", minutes(2), "lost", json!({})));
    sim.event(0, "r.state", "app", minutes(2), json!({"state": "created"}));
    sim.step(minutes(3));
    let counts = sim.lane.counts(0);
    assert_eq!((counts.accepted, counts.duplicate, counts.unwanted, counts.late), (3, 1, 0, 0));
    let case = counts.cases[0];
    assert_eq!((case.taken, case.unknown_state, case.no_subject), (1, 1, 1));
    assert_eq!(states(&sim.lane, minutes(3)), ["A created"]);
}

#[test]
fn r9_alerts_rise_when_a_state_lasts_and_in_working_time_and_resolve_with_the_case() {
    let mut sim = Sim::new(reports(), 1);
    // a Tuesday, 07:05: two working hours end at 09:30
    sim.give(0, Some(minutes(5)), step("A", "1", minutes(5), "created", json!({"kind": "road", "lon": 0.5, "lat": 0.5})));
    quiet(&mut sim, minutes(5));
    let mut seen = Vec::new();
    let mut run = |sim: &mut Sim, to: i64| {
        while let Some(at) = sim.lane.next_deadline().filter(|at| *at <= minutes(to)) {
            let effects = quiet(sim, at);
            seen.extend(effects.changes.iter().map(|c| change_line(&sim.setup, c)));
            for alert in &effects.alerts {
                seen.push(alert.label.title.en.clone());
            }
        }
    };
    run(&mut sim, 160);
    sim.give(0, Some(minutes(161)), step("A", "2", minutes(161), "closed", json!({})));
    quiet(&mut sim, minutes(161));
    run(&mut sim, 400);
    assert_eq!(
        seen,
        [
            "waiting inactive>firing 2100",
            "Waiting A: road",
            "soon inactive>firing 5400",
            "Due soon A, at 2025-07-15 09:30",
            "soon firing>resolved 9000",
            "Due soon A, at 2025-07-15 09:30",
            "late inactive>firing 9000",
            "Overdue A in Area A",
        ]
    );
    assert_eq!(sim.lane.core.book().iter().filter(|a| a.condition == ioc::engine::Condition::Resolved).count(), 3);
}

/// A case's life: (subject, minute, state, kind, area), with ids that are not in the order of times.
type Life = Vec<(u8, u8, u8, u8, u8)>;

fn life() -> impl Strategy<Value = Life> {
    prop::collection::vec((0u8..4, 0u8..60, 0u8..4, 0u8..2, 0u8..3), 1..24)
}

fn event_of(at: usize, (subject, minute, state, kind, area): (u8, u8, u8, u8, u8)) -> (Timestamp, Vec<u8>) {
    let state = ["created", "assigned", "closed", "reopened"][usize::from(state)];
    let kind = ["light", "road"][usize::from(kind)];
    let mut more = json!({"kind": kind, "w": 0.1 * f64::from(minute)});
    if area > 0 {
        more["lon"] = json!(f64::from(area) - 0.5);
        more["lat"] = json!(0.5);
    }
    let time = minutes(i64::from(minute));
    (time, step(&format!("S{subject}"), &format!("{}", (at * 7) % 24), time, state, more))
}

/// Rows that stand at the end: withdrawn ones are none.
fn standing(setup: &Setup, rows: &[ioc::engine::Row]) -> Values {
    let mut values = Values::default();
    // copies on other partitions are copies for cases alone
    for row in rows.iter().filter(|row| row.window == 1) {
        values.add(setup, std::slice::from_ref(row));
        if row.state == RowState::Withdrawn {
            values.0.remove(&crate::support::row_identity(setup, row));
        }
    }
    values
}

/// Alerts that stand at the end, by rule and subject (when they began may differ: one that overlaps stays the same alert, R7).
fn alerts(lane: &Lane) -> Vec<String> {
    let mut all: Vec<String> = lane
        .core
        .book()
        .iter()
        .filter(|a| a.condition == ioc::engine::Condition::Firing)
        .map(|a| format!("{} {}", a.label.rule, a.key.tags[0]))
        .collect();
    all.sort();
    all
}

/// Runs records by (partition, body) in this order, one tick each, then two hours of ticks; all within what T3 lets into every window.
fn run(records: &[(usize, Vec<u8>)], partitions: usize, every: usize, restart: bool) -> (Values, Vec<String>, Vec<String>) {
    let text = REPORTS.replace("lateness: 10m", "lateness: 2h\nmax_delay: 4h");
    let files = [
        ("pipelines/reports.yaml", text.as_str()),
        ("registry/calendar.yaml", CALENDAR),
        ("registry/areas/a.geojson", crate::support::sets::AREAS),
    ];
    let mut sim = Sim::new(setup(&files), partitions);
    let mut at = minutes(60);
    let tick = |sim: &mut Sim, at: Timestamp| {
        for p in 0..partitions {
            sim.partition(p).read_time = Some(at);
        }
        sim.step(at);
    };
    for (n, (partition, body)) in records.iter().enumerate() {
        sim.give(*partition, Some(at), body.clone());
        if n % every == 0 {
            tick(&mut sim, at);
            at = at + Span::seconds(7);
            if restart {
                sim.restart();
            }
        }
    }
    for minute in [62, 63, 90, 120, 121, 122, 150, 180] {
        tick(&mut sim, minutes(minute));
        if restart {
            sim.restart();
        }
    }
    (standing(&sim.setup, &sim.rows), states(&sim.lane, minutes(180)), alerts(&sim.lane))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// R9: whatever the order, the partitions, the copies, the ticks and the restarts: the same states, the same rows, the same alerts.
    #[test]
    fn r9_arrival_order_does_not_matter(
        life in life(),
        order in prop::collection::vec(any::<u16>(), 24),
        partitions in prop::collection::vec(0usize..3, 24),
        copies in prop::collection::vec(any::<bool>(), 24),
        every in 1usize..5,
        restart in any::<bool>(),
    ) {
        let events: Vec<_> = life.iter().enumerate().map(|(at, e)| event_of(at, *e)).collect();
        let mut straight: Vec<_> = events.clone();
        straight.sort_by_key(|e| e.0);
        let straight: Vec<_> = straight.into_iter().map(|(_, body)| (0, body)).collect();
        let mut shuffled: Vec<_> = events.iter().enumerate().map(|(i, (_, body))| (order[i], partitions[i], body.clone())).collect();
        let again: Vec<_> = shuffled.iter().zip(&copies).filter(|(_, copy)| **copy).map(|((o, p, body), _)| (o.wrapping_mul(31), (p + 1) % 3, body.clone())).collect();
        shuffled.extend(again);
        shuffled.sort_by_key(|e| e.0);
        let shuffled: Vec<_> = shuffled.into_iter().map(|(_, p, body)| (p, body)).collect();
        let ours = run(&straight, 1, 1, false);
        let theirs = run(&shuffled, 3, every, restart);
        prop_assert_eq!(&ours.1, &theirs.1, "states");
        prop_assert_eq!(&ours.0, &theirs.0, "rows");
        prop_assert_eq!(&ours.2, &theirs.2, "alerts");
    }

    /// R3: a restart after any tick changes no effect, byte for byte.
    #[test]
    fn r3_history_of_cases_whatever_the_restarts(life in life(), stops in prop::collection::vec(any::<bool>(), 30)) {
        let mut plain = Sim::new(SETUP.clone(), 2);
        let mut stopped = Sim::new(SETUP.clone(), 2);
        let mut at = minutes(50);
        for (n, e) in life.iter().enumerate() {
            let (_, body) = event_of(n, *e);
            at = at + Span::minutes(3);
            for sim in [&mut plain, &mut stopped] {
                sim.give(n % 2, Some(at), body.clone());
                for p in 0..2 {
                    sim.partition(p).read_time = Some(at);
                }
            }
            let (a, b) = (plain.step(at), stopped.step(at));
            prop_assert_eq!(crate::support::history(&a), crate::support::history(&b));
            if stops[n] {
                stopped.restart();
            }
        }
    }
}
