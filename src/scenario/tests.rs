//! The format, what counts as met, and what a failure says.

use super::*;
use crate::definitions::{Definitions, Ground};
use crate::time::{Span, Timestamp};
use std::sync::Arc;

const PIPELINE: &str = "pipeline: p
sector: test
from: [t.a]
out_of_orderness: 5s
lateness: 1m
windows:
  - {measurement: m, every: 1m, by: [source], fields: {n: count(), x: mean(data.x)}}
alerts:
  - {alert: hot, on: m, when: x > 5, for: 1m, severity: major, title: {vi: Nóng, en: Hot}}
";
const HEAD: &str = "pipeline: p\nstart: 2026-06-01T07:00:00+07:00\n";

fn ground() -> Ground {
    Ground::new(Definitions::default()).unwrap_or_else(|m| panic!("{m}"))
}

/// Mistakes of the file, or the outcomes.
fn outcomes(text: &str) -> Result<Vec<Outcome>, Vec<String>> {
    let lines = |mistakes: Vec<crate::pipeline::mistake::Mistake>| mistakes.iter().map(ToString::to_string).collect::<Vec<_>>();
    let file = ScenarioFile::read(text, "p.test.yaml").map_err(lines)?;
    let setup = ground().setup("p.yaml", PIPELINE, "p.test.yaml", &file.sources).map_err(|m| m.0)?;
    let mistakes = file.check(&setup);
    if mistakes.is_empty() { Ok(file.run(&Arc::new(setup))) } else { Err(lines(mistakes)) }
}

/// One test with these events and expectations: its failures, with what came.
fn failures(events: &str, expect: &str) -> Vec<String> {
    let text = format!("{HEAD}tests:\n  - name: one\n    events: [{events}]\n    expect: {expect}\n");
    let outcomes = outcomes(&text).unwrap_or_else(|m| panic!("{m:#?}"));
    let failures = outcomes.into_iter().flat_map(|o| o.failures);
    failures.flat_map(|f| std::iter::once(f.what).chain(f.came.into_iter().map(|line| format!("  {line}")))).collect()
}

const HOT: &str = "{from: +30s, to: +3m30s, every: 1m, source: a, data: {x: 9}}";

#[test]
fn instants_are_absolute_or_counted_from_the_start() {
    let start = Timestamp::parse_rfc3339(b"2026-06-01T07:00:00+07:00").unwrap();
    for (text, seconds) in [("+90s", 90), ("+1h30m", 5400), ("-5m", -300), ("+0", 0), ("+1d", 86_400), ("2026-06-01T08:00:00+07:00", 3600)]
    {
        assert_eq!(moment(text, start), Some(start + Span::seconds(seconds)), "{text}");
    }
    for bad in ["90s", "+", "+5", "+1h30", "+m", "07:00", ""] {
        assert_eq!(moment(bad, start), None, "{bad}");
    }
    for nanos in [0, 1, 90_000_000_000, -3_661_001_000_000, 86_400_000_000_000] {
        let t = Timestamp(start.0 + nanos);
        assert_eq!(moment(&since(t, start), start), Some(t), "{}", since(t, start));
    }
    assert_eq!(since(start + Span::seconds(5430), start), "+1h30m30s");
}

#[test]
fn what_is_met_says_nothing() {
    let expect = "{rows: [{measurement: m, key: {source: a}, start: +1m, fields: {n: 1, x: 9}, state: final, revision: 0}], \
                  alerts: [{alert: hot, to: pending, at: +1m}, {alert: hot, key: {source: a}, at: +2m, by: +2m10s, title: {vi: Nóng, en: Hot}}], \
                  verdicts: {accepted: 4, read: 4}, no_rows: [{measurement: m, key: {source: b}}]}";
    assert_eq!(failures(HOT, expect), [""; 0]);
    assert_eq!(failures("{at: +10s, source: a, data: {x: 1}}", "{no_alerts: [hot], verdicts: {late: 0}}"), [""; 0]);
}

#[test]
fn a_row_that_differs_is_shown() {
    let expect = "{rows: [{measurement: m, key: {source: a}, start: +1m, fields: {x: 8, n: null}, state: provisional}]}";
    assert_eq!(
        failures(HOT, expect),
        [
            "row m {source: a} +1m: x is 9, not 8; n is 1, not absent; the state is final, not provisional",
            "  m {source: a} +1m: n 1, x 9; final, revision 0"
        ]
    );
}

#[test]
fn where_there_is_no_such_row_the_nearest_are_shown() {
    let events = "{at: +30s, source: a, data: {x: 1}}, {at: +70s, source: b, data: {}}";
    let none = failures(events, "{rows: [{measurement: m, key: {source: a}, start: +1m, fields: {n: 1}}]}");
    assert_eq!(
        none,
        [
            "row m {source: a} +1m: no such row",
            "  m {source: b} +1m: n 1, x absent; final, revision 0",
            "  m {source: a} +0s: n 1, x 1; final, revision 0"
        ]
    );
    assert_eq!(failures("", "{rows: [{measurement: m}]}"), ["row m {}: no row of this measurement came"]);
    assert_eq!(failures(events, "{no_rows: [{measurement: m, start: +1m}]}")[0], "no row m {} +1m: there is one");
    assert_eq!(failures(events, "{rows: [{measurement: m}]}")[0], "row m {}: 2 rows are meant: name one by `key` and `start`");
}

#[test]
fn an_alert_that_differs_is_shown_with_all_its_changes() {
    let changes = ["  +1m hot {source: a}: inactive → pending, known at +1m5s", "  +2m hot {source: a}: pending → firing, known at +2m5s"];
    let at = failures(HOT, "{alerts: [{alert: hot, at: +3m}]}");
    assert_eq!(at[0], "alert hot {} → firing at +3m: it is at +2m, not +3m");
    assert_eq!(at[1..3], changes);
    assert_eq!(failures(HOT, "{alerts: [{alert: hot, key: {source: b}}]}")[0], "alert hot {source: b} → firing: it is hot {source: a}");
    assert_eq!(failures(HOT, "{alerts: [{alert: hot, to: resolved}]}")[0], "alert hot {} → resolved: it never becomes resolved here");
    let order = failures(HOT, "{alerts: [{alert: hot}, {alert: hot, to: pending}]}");
    assert_eq!(order[0], "alert hot {} → pending: it comes before the one listed above it");
    assert_eq!(failures(HOT, "{no_alerts: [hot]}")[0], "alert hot must not fire: it does");
    let cold = "{at: +10s, source: a, data: {x: 1}}";
    assert_eq!(failures(cold, "{alerts: [{alert: hot}]}"), ["alert hot {} → firing: this alert never changed"]);
    let two = "{from: +30s, to: +3m30s, every: 1m, source: [a, b], data: {x: 9}}";
    assert_eq!(failures(two, "{alerts: [{alert: hot, key: {source: a}}]}")[0], "alert hot fires 2 times, 1 listed");
}

#[test]
fn verdicts_are_counted() {
    let events = "{at: +10s, source: a, data: {x: 1}, copies: 2}, {at: +9m, source: a, data: {x: 1}}, \
                  {at: +20s, arrives: +9m1s, source: a, data: {x: 1}}, {at: +9m, raw: nonsense}, {at: +9m, source: a, type: t.b}";
    // t.b is named by no pipeline and no schema: that is a mistake of the file
    let text = format!("{HEAD}tests:\n  - name: one\n    events: [{events}]\n    expect: {{verdicts: {{late: 1}}}}\n");
    assert_eq!(outcomes(&text).unwrap_err(), ["p.test.yaml:5:177: no schema and no pipeline names the type `t.b` (did you mean `t.a`?)"]);
    let events = events.replace(", {at: +9m, source: a, type: t.b}", "");
    assert_eq!(failures(&events, "{verdicts: {late: 1, duplicate: 1, rejected: {bytes: 1}, accepted: 2}}"), [""; 0]);
    assert_eq!(
        failures(&events, "{verdicts: {late: 0}}"),
        ["late: 1, not 0", "  read 5: accepted 2, late 1, duplicate 1, unwanted 0, rejected 1 (bytes.syntax 1)"]
    );
}

#[test]
fn a_series_may_ramp_and_defaults_lie_below() {
    let text = format!(
        "{HEAD}defaults: {{source: a, data: {{x: 1, y: 2}}}}\ntests:\n  - name: one\n    events:\n      \
         - {{from: +0s, to: +50s, every: 10s, ramp: {{x: [0, 10]}}, data: {{z: +4h, w: \"+4h\"}}}}\n    expect: {{verdicts: {{read: 6}}}}\n"
    );
    let file = ScenarioFile::read(&text, "p.test.yaml").unwrap();
    let spec::GivenBody::Event(last) = &file.tests[0].given[5].body else { panic!("an event") };
    assert_eq!(last["data"].to_string(), r#"{"w":"+4h","x":10.0,"y":2,"z":"2026-06-01T04:00:00Z"}"#);
    assert_eq!((last["id"].as_str(), last["time"].as_str()), (Some("s6"), Some("2026-06-01T00:00:50Z")));
}

/// Recorded data: no broker time; the file's end closes its windows, and nothing is too late for `max_delay`.
#[test]
fn an_event_clock_runs_as_a_file_does() {
    let text = format!(
        "{}clock: event\ntests:\n  - name: one\n    events: [{HOT}]\n    expect:\n      rows: [{{measurement: m, start: +3m, fields: {{n: 1}}}}]\n      \
         alerts: [{{alert: hot, at: +2m, retroactive: true}}]\n",
        HEAD
    );
    assert_eq!(outcomes(&text).unwrap()[0].failures, []);
}

#[test]
fn mistakes_of_a_file_come_with_their_places() {
    let text = "pipeline: p
start: 7:00
tests:
  - name: a
    events:
      - {at: 90s, source: a}
      - {from: +1m, to: +0m, every: 10s, source: a}
      - {at: +1m}
      - {at: +1m, every: 1m, source: a}
      - {at: +1m, sorce: a, source: a, copies: 0}
      - {at: +1m, arrives: +5m, delay: 5m, source: a}
    until: +2m
    expect: {}
  - events: []
    expect: {alerts: [{alert: hot, to: fireing}], rows: [{start: +0m}], verdicts: {lat: 1}, cases: [{case: c}]}
";
    let said: Vec<String> = ScenarioFile::read(text, "f").unwrap_err().iter().map(ToString::to_string).collect();
    for part in [
        "f:2:8: `7:00` is no instant: write one as 2026-06-01T07:00:00+07:00",
        "f:6:14: `90s` is no time: write +90s or +1h30m after `start`",
        "f:7:21: `to` lies before `from`",
        "f:8:9: the event has no source",
        "f:9:9: an event has `at`, or a series has `from`, `to` and `every`",
        "f:10:19: an event has no key `sorce` (did you mean `source`?)",
        "f:10:48: `copies` is a whole number from 1 to 1000, not `0`",
        "f:11:33: `arrives` and `delay` exclude each other: remove one",
        "f:11:9: the event arrives after `until`",
        "f:13:13: the test expects nothing",
        "f:14:5: the test has no name",
        "f:15:40: `fireing` is no condition",
        "f:15:58: the row has no measurement",
        "f:15:84: `verdicts` has no key `lat` (did you mean `late`?)",
        "f:15:101: the case has no subject: write `subject:`",
    ] {
        assert!(said.iter().any(|line| line.starts_with(part)), "{part}\n{said:#?}");
    }
    let text = format!(
        "{HEAD}tests:\n  - name: a\n    expect:\n      rows: [{{measurement: mm, key: {{}}}}, {{measurement: m, key: {{sorce: a}}, fields: {{y: 1}}}}]\n      no_alerts: [hott]\n"
    );
    assert_eq!(
        outcomes(&text).unwrap_err(),
        [
            "p.test.yaml:6:28: the pipeline has no measurement `mm` (did you mean `m`?)",
            "p.test.yaml:6:65: the measurement has no tag `sorce` (did you mean `source`?)",
            "p.test.yaml:6:85: the measurement has no field `y` (did you mean `n`?)",
            "p.test.yaml:7:19: the pipeline has no alert `hott` (did you mean `hot`?)",
        ]
    );
}

const REPORTS: &str = "pipeline: p
sector: test
from: [t.r]
out_of_orderness: 5s
lateness: 1m
cases:
  - {case: report, subject: subject, state: data.state, open: [created, assigned], closed: [closed], due: data.due_at}
windows:
  - {measurement: report_open, gauge: report, every: 1h, fields: {open: count()}}
alerts:
  - {alert: unassigned, case: report, in: created, for: 30m, severity: minor, title: {vi: Chưa giao, en: Unassigned}}
";

/// R9: a case at an instant, whatever the order of arrival.
#[test]
fn cases_are_judged_as_of_an_instant() {
    let text = |cases: &str| {
        format!(
            "{HEAD}defaults: {{source: app, subject: R1}}
tests:
  - name: one
    events:
      - {{at: +1h, arrives: +3h, data: {{state: assigned, due_at: +4h}}}}
      - {{at: +10m, data: {{state: created, due_at: +4h}}}}
    until: +6h
    expect:
      cases: [{cases}]
      alerts: [{{alert: unassigned, key: {{subject: R1}}, at: +40m}}]
"
        )
    };
    let run = |cases: &str| {
        let file = ScenarioFile::read(&text(cases), "f").unwrap_or_else(|m| panic!("{m:#?}"));
        let setup = ground().setup("p.yaml", REPORTS, "f", "").unwrap_or_else(|m| panic!("{m}"));
        let mistakes: Vec<String> = file.check(&setup).iter().map(ToString::to_string).collect();
        let failures = file.run(&Arc::new(setup)).into_iter().flat_map(|o| o.failures);
        let said = failures.flat_map(|f| std::iter::once(f.what).chain(f.came)).collect();
        if mistakes.is_empty() { said } else { mistakes }
    };
    let met = "{case: report, subject: R1, at: +30m, state: created, open: true, overdue: false, due: +4h, area: outside}, \
               {case: report, subject: R1, at: +2h, state: assigned}, {case: report, subject: R1, overdue: true}, \
               {case: report, subject: R1, at: +5m, none: true}, {case: report, subject: R2, none: true}";
    assert_eq!(run(met), [""; 0]);
    assert_eq!(
        run("{case: report, subject: R1, at: +5h, state: created, overdue: false, due: +5h}"),
        [
            "case report R1 at +5h: the state is assigned, not created; overdue is true, not false; it is due at +4h, not +5h",
            "report R1: assigned, area outside, open true, overdue true, due_soon unknown, age_h 4.833, created_at +10m, due +4h"
        ]
    );
    assert_eq!(run("{case: report, subject: R9}"), ["case report R9 at +6h: there is none then", "report R1"]);
    assert_eq!(
        run("{case: reprt, subject: R1}, {case: report, subject: R1, state: asigned}"),
        [
            "f:11:22: the pipeline has no case `reprt` (did you mean `report`?)",
            "f:11:78: the case has no state `asigned`: it has `created`, `assigned` or `closed` (did you mean `assigned`?)"
        ]
    );
}

/// Sources of the file are lines of the registry: heard and expected, and mistakes in them stand at their own lines.
#[test]
fn sources_stand_in_the_place_of_the_registry_s() {
    let file = |source: &str| {
        format!(
            "{HEAD}registry:\n  sources:\n    - {{id: b, type: t.a, cadence: 1m}}\n    - {source}\ntests:\n  - name: one\n    events: [{{at: +10s, source: a, data: {{x: 1}}}}]\n    expect: {{rows: [{{measurement: m, key: {{source: a}}, heard: 1, expected: 1}}]}}\n"
        )
    };
    assert_eq!(outcomes(&file("{id: a, type: t.a, cadence: 30s}")).unwrap()[0].failures, []);
    let said = outcomes(&file("{id: a, type: t.a, cadence: often}")).unwrap_err();
    assert!(said[0].starts_with("p.test.yaml:6:") && said[0].contains("cadence \"often\" is no span"), "{said:?}");
}
