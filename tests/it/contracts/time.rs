//! T0 to T7.

use super::{MINUTE, counts, minutes, pipeline, setup, timed};
use crate::support::feed::{Kept, Sim, record};
use crate::support::sets::SCHEMA;
use crate::support::{compiled, definitions, event, ms, s};
use ioc::engine::lane::Lane;
use ioc::engine::{PartitionTick, RowState, Tick};
use ioc::time::{Span, Timestamp};
use serde_json::json;

const NONE: Vec<String> = Vec::new();

/// T0: rejected, unwanted, late, duplicate, accepted, in this order; read is their sum.
#[test]
fn t0_one_verdict_in_order() {
    let text = timed("lateness: 10s\nwhere: data.ok == true\n", MINUTE);
    let files = [("pipelines/p.yaml", text.as_str()), ("schemas/t.a.json", SCHEMA), ("schemas/t.z.json", SCHEMA)];
    let mut sim = Sim::new(crate::support::setup(&files), 1);
    let ok = |x: i64| json!({"ok": true, "x": x});
    let mut give = |body: Vec<u8>| {
        sim.give(0, None, body).step(s(1000));
        counts(&sim)
    };
    assert_eq!(give(b"{".to_vec()), [1, 1, 0, 0, 0, 0], "bytes");
    assert_eq!(give(event("t.z", "a", "1", s(10), json!({"x": "text"}))), [2, 2, 0, 0, 0, 0], "rejected before unwanted");
    assert_eq!(give(event("t.z", "a", "1", s(10), json!({}))), [3, 2, 1, 0, 0, 0], "nobody wants its type");
    assert_eq!(give(event("t.a", "a", "1", s(10), json!({"ok": false}))), [4, 2, 2, 0, 0, 0], "where is not true");
    assert_eq!(give(event("t.a", "a", "1", s(10), json!({}))), [5, 2, 3, 0, 0, 0], "unknown in where counts as false");
    assert_eq!(give(event("t.a", "a", "1", s(10), ok(1))), [6, 2, 3, 0, 0, 1]);
    assert_eq!(give(event("t.a", "a", "1", s(10), ok(1))), [7, 2, 3, 0, 1, 1], "duplicate");
    assert_eq!(give(event("t.a", "a", "2", s(75), ok(1))), [8, 2, 3, 0, 1, 2]);
    assert_eq!(give(event("t.a", "a", "1", s(10), ok(1))), [9, 2, 3, 1, 1, 2], "late before duplicate");
    assert_eq!(give(event("t.a", "a", "3", s(10), json!({"ok": false}))), [10, 2, 4, 1, 1, 2], "unwanted before late");
}

/// T0: only accepted events move watermark, idleness, dedup and last-heard.
#[test]
fn t0_only_accepted_events_move_anything() {
    let mut sim = minutes(1);
    sim.event(0, "t.a", "a", s(10), json!({})).step(s(11));
    let delay = |sim: &Sim| sim.lane.core.merger().delay(0, s(100));
    assert_eq!(delay(&sim), Some(Span::seconds(95)));
    sim.give(0, None, event("t.a", "a", "e1", s(500), json!({}))).step(s(30));
    assert_eq!((counts(&sim)[4], delay(&sim)), (1, Some(Span::seconds(95))), "a copy with another time pushes nothing");
    sim.event(0, "t.none", "a", s(900), json!({})).step(s(35));
    assert_eq!(delay(&sim), Some(Span::seconds(95)));
    sim.step(s(41));
    assert_eq!(delay(&sim), None, "idle 30 s after the last accepted one, whatever else came");
    assert_eq!(sim.lane.collectors[0].counts(0).sources[0].last_heard, Some(s(10)));
}

/// T0: refused by some windows only: accepted, and counted partly late; without a value for a key: no row there, counted no key.
#[test]
fn t0_partly_late_and_no_key() {
    let windows = "  - {measurement: ten, every: 10s, by: [data.k], fields: {n: count()}}\n  - {measurement: sixty, every: 1m, fields: {n: count()}}\n";
    let mut sim = Sim::new(setup(&timed("lateness: 0s\n", windows)), 1);
    sim.event(0, "t.a", "a", s(25), json!({"k": "k"})).event(0, "t.a", "a", s(5), json!({"k": "k"})).event(0, "t.a", "a", s(26), json!({}));
    sim.finish().step(s(30));
    let c = sim.lane.counts(0);
    assert_eq!((c.accepted, c.late), (3, 0));
    assert_eq!((c.partly_late, c.no_key), (vec![1, 0], vec![1, 0]));
    assert_eq!(
        sim.values().0.into_iter().map(|(k, v)| format!("{k}: {v}")).collect::<Vec<_>>(),
        ["sixty 0: n=3i None None", "ten,k=k 20: n=1i None None"]
    );
}

/// T1: none, unparsable, ahead of broker_time by more than max_ahead, older than max_behind: rejected; in files nothing is too old.
#[test]
fn t1_rejected_for_its_time() {
    let files = [("pipelines/p.yaml", pipeline(MINUTE))];
    let definitions = definitions(&files.each_ref().map(|(p, t)| (*p, t.as_str())));
    let cases: [(&str, Option<Timestamp>, Option<&str>); 9] = [
        ("", Some(s(0)), Some("time.missing")),
        (r#""time":"yesterday","#, Some(s(0)), Some("time.")),
        (r#""time":"2025-07-15T00:01:00Z","#, Some(s(0)), None),
        (r#""time":"2025-07-15T00:01:00.000000001Z","#, Some(s(0)), Some("time.ahead")),
        (r#""time":"2025-07-15T09:00:00Z","#, None, None),
        (r#""time":"2025-06-15T00:00:00Z","#, Some(s(0)), None),
        (r#""time":"2025-06-14T23:59:59.999Z","#, Some(s(0)), Some("time.behind")),
        (r#""time":"1999-06-14T23:59:59.999Z","#, None, None),
        (r#""time":"2199-06-14T23:59:59.999Z","#, Some(s(0)), Some("time.ahead")),
    ];
    for (time, broker, reason) in cases {
        let mut live = Sim::new(compiled(&definitions, Some(Span::days(30))), 1);
        let body = format!(r#"{{"specversion":"1.0","id":"1","source":"a",{time}"type":"t.a"}}"#);
        let effects = live.give(0, broker, body.clone().into_bytes()).step(s(1));
        let found = effects.rejected.first().map(|(_, r)| r.rejected.code());
        assert!(
            match (&found, reason) {
                (Some(found), Some(reason)) => found.starts_with(reason),
                (found, reason) => found.is_none() && reason.is_none(),
            },
            "{time} {broker:?}: {found:?}, not {reason:?}"
        );
        let mut file = Sim::new(compiled(&definitions, None), 1);
        let effects = file.give(0, broker, body.into_bytes()).step(s(1));
        let behind = reason == Some("time.behind");
        assert_eq!(effects.rejected.is_empty(), reason.is_none() || behind, "files: {time}");
    }
}

/// T2: the highest min(event_time, broker_time): a fast clock counts but pushes nothing.
#[test]
fn t2_a_fast_clock_pushes_nothing() {
    let mut sim = minutes(1);
    sim.event_at(0, s(10), "fast", s(65), json!({})).step(s(10));
    assert_eq!(sim.lane.core.merger().delay(0, s(100)), Some(Span::seconds(95)), "10 - 5, not 65 - 5");
    sim.event_at(0, s(11), "slow", s(2), json!({})).step(s(11));
    assert_eq!(counts(&sim), [2, 0, 0, 0, 0, 2], "both count");
}

/// T2: it never goes back; an event is judged against the watermark before it; passed means ≥.
#[test]
fn t2_a_watermark_never_goes_back() {
    let cases: [(&[i64], [u64; 6]); 5] = [
        // window [0, 60) with 10 s of lateness is open while the watermark is below 70: an event at 75 brings it there
        (&[74_999, 10_000], [2, 0, 0, 0, 0, 2]),
        (&[75_000, 10_000], [2, 0, 0, 1, 0, 1]),
        (&[10_000, 75_000], [2, 0, 0, 0, 0, 2]),
        (&[75_000, 74_000, 10_000], [3, 0, 0, 1, 0, 2]),
        (&[300_000, 240_001, 10_000], [3, 0, 0, 1, 0, 2]),
    ];
    for (times, expected) in cases {
        let mut sim = minutes(1);
        for time in times {
            sim.event(0, "t.a", "a", ms(*time), json!({}));
        }
        sim.step(s(1));
        assert_eq!(counts(&sim), expected, "{times:?}");
    }
}

/// T3: broker_time < end + max_delay, 15 min by default; broker_time is the partition's running maximum; without it, always.
#[test]
fn t3_max_delay() {
    let (end, delay) = (s(60), Span::minutes(15));
    let cases =
        [(vec![Some(end + delay - Span(1))], 1), (vec![Some(end + delay)], 0), (vec![None], 1), (vec![Some(end + delay), Some(s(100))], 0)];
    for (brokers, accepted) in cases {
        let mut sim = minutes(1);
        for (i, broker) in brokers.iter().enumerate() {
            sim.give(0, *broker, event("t.a", "a", &i.to_string(), s(10), json!({})));
        }
        sim.step(s(1));
        let c = counts(&sim);
        assert_eq!((c[5], c[3]), (accepted, brokers.len() as u64 - accepted), "{brokers:?}");
    }
    let small = timed("lateness: 10m\nmax_delay: 11m\n", MINUTE);
    let mistakes = definitions(&[("pipelines/p.yaml", &small)]).compile(None).unwrap_err().to_string();
    assert!(mistakes.contains("max_delay"), "a smaller one than lateness + out_of_orderness + patience is refused: {mistakes}");
}

/// T3: lateness is decided on the event's own partition.
#[test]
fn t3_other_partitions_do_not_matter() {
    let mut sim = minutes(2);
    sim.event(0, "t.a", "a", s(5000), json!({})).step(s(5000));
    sim.event(1, "t.a", "b", s(10), json!({})).step(s(5001));
    assert_eq!(counts(&sim), [2, 0, 0, 0, 0, 2]);
}

/// T3, R4: an event older than watermark − dedup is late for every window; up to there a copy is known, so nothing counts twice.
#[test]
fn t3_r4_the_dedup_bound() {
    for (push, verdicts) in [(14_999, [0, 1]), (15_000, [0, 1]), (15_001, [1, 0])] {
        let mut sim = Sim::new(setup(&timed("lateness: 1h\ndedup: 10s\n", MINUTE)), 1);
        let body = event("t.a", "a", "same", s(0), json!({}));
        sim.give(0, None, body.clone()).event(0, "t.a", "a", ms(push), json!({})).give(0, None, body).step(s(1));
        let c = counts(&sim);
        assert_eq!(([c[3], c[4]], c[5]), (verdicts, 2), "watermark {} ms", push - 5000);
    }
}

/// T4: a late event is counted by source with its delay, kept whole, shown; driven again it is judged like any other.
#[test]
fn t4_late_is_never_lost() {
    let mut sim = minutes(1);
    let late = event("t.a", "tardy", "1", s(10), json!({"x": 1}));
    sim.event(0, "t.a", "a", s(305), json!({})).give(0, None, late.clone());
    let effects = sim.step(s(305));
    let (partition, kept) = &effects.late[0];
    assert_eq!((*partition, kept.offset, kept.source.as_str(), kept.delay, &kept.raw), (0, 1, "tardy", Span::seconds(290), &late));
    let collector = &sim.lane.collectors[0];
    let of = (0..2).map(|i| (collector.source_name(i), collector.counts(0).sources[i as usize])).find(|(n, _)| *n == "tardy").unwrap().1;
    assert_eq!((of.late, of.worst_delay), (1, Span::seconds(290)));
    assert_eq!(sim.give(0, None, late).step(s(306)).late.len(), 1, "it enters the log anew and is late again, not a duplicate");
}

/// T5: a partition holds a window while its watermark is below the end; final once nobody does.
#[test]
fn t5_who_is_behind_holds() {
    let mut sim = minutes(2);
    sim.event(1, "t.a", "b", s(20), json!({}));
    assert_eq!(sim.event(0, "t.a", "a", s(10), json!({})).event(0, "t.a", "a", s(65), json!({})).rows(s(31)), NONE);
    assert_eq!(sim.event(1, "t.a", "b", ms(64_999), json!({})).rows(s(32)), NONE, "its watermark is 1 ms short");
    assert_eq!(
        sim.event(1, "t.a", "b", s(65), json!({})).rows(s(33)),
        ["m,source=a 0 n=1i final r0", "m,source=b 0 n=1i final r0"],
        "passed means ≥"
    );
}

/// T5: unless it is idle: nothing accepted for 30 s of tick time, counted from the record's own clock however far apart ticks lie.
#[test]
fn t5_idle_partitions_do_not_hold() {
    let mut sim = minutes(2);
    sim.event(1, "t.a", "b", s(20), json!({})).step(s(20));
    assert_eq!(sim.event(0, "t.a", "a", s(10), json!({})).event(0, "t.a", "a", s(65), json!({})).rows(s(49)), NONE);
    assert_eq!(sim.rows(s(50)), ["m,source=a 0 n=1i final r0", "m,source=b 0 n=1i final r0"]);
    // after a silence of ticks: what is accepted now makes it not idle
    let mut sim = minutes(1);
    sim.event(0, "t.a", "a", s(5), json!({})).step(s(5));
    sim.step(s(70));
    assert_eq!(sim.event(0, "t.a", "a", s(670), json!({})).rows(s(670)), NONE);
    assert_eq!((sim.rows(s(699)), sim.rows(s(725))), (NONE, vec!["m,source=a 660 n=1i final r0".to_owned()]));
}

/// T5: spans in which a partition was unreadable do not count for idleness.
#[test]
fn t5_unreadable_time_is_not_idle_time() {
    let mut sim = minutes(2);
    sim.event(1, "t.a", "b", s(20), json!({})).step(s(20));
    sim.event(0, "t.a", "a", s(10), json!({})).event(0, "t.a", "a", s(65), json!({}));
    sim.partition(1).unreadable = true;
    assert_eq!(sim.rows(s(80)), NONE);
    sim.partition(1).unreadable = false;
    assert_eq!((sim.rows(s(109)), sim.rows(s(110)).len()), (NONE, 2), "30 s after it could be read again");
}

/// T5: at its deadline, end + out_of_orderness + patience, incomplete if a partition held it then.
#[test]
fn t5_the_deadline() {
    let mut sim = minutes(2);
    sim.event(0, "t.a", "a", s(10), json!({})).event(0, "t.a", "a", s(65), json!({}));
    for second in (20..185).step_by(5) {
        assert_eq!(
            sim.event(1, "t.a", "b", s(second / 10), json!({})).event(0, "t.a", "a", s(60 + second), json!({})).rows(s(second)),
            NONE,
            "{second}"
        );
    }
    assert_eq!(sim.rows(ms(184_999)), NONE);
    assert_eq!(sim.rows(s(185)), ["m,source=a 0 n=1i incomplete r0", "m,source=b 0 n=33i incomplete r0"]);
    sim.event(1, "t.a", "b", s(30), json!({})).event(1, "t.a", "b", s(65), json!({})).event(0, "t.a", "a", s(250), json!({}));
    assert_eq!(sim.rows(s(190))[0], "m,source=b 0 n=34i incomplete r1", "what T3 accepts later makes a revision");
}

/// T5: every partition idle and tick time past end + out_of_orderness.
#[test]
fn t5_all_idle() {
    let mut sim = minutes(2);
    assert_eq!(sim.event(0, "t.a", "a", s(10), json!({})).rows(s(10)), NONE);
    assert_eq!((sim.rows(s(45)), sim.rows(ms(64_999))), (NONE, NONE));
    assert_eq!(sim.rows(s(65)), ["m,source=a 0 n=1i final r0"]);
}

/// T6: spans below a day are fixed, a day or longer follows the calendar of the pipeline's zone.
#[test]
fn t6_alignment() {
    let cases = [
        ("", "10s", "2025-07-14T18:00:07Z", "2025-07-14T18:00:00Z", "2025-07-14T18:00:10Z"),
        ("", "1d", "2025-07-14T16:59:59Z", "2025-07-13T17:00:00Z", "2025-07-14T17:00:00Z"),
        ("", "1d", "2025-07-14T17:00:00Z", "2025-07-14T17:00:00Z", "2025-07-15T17:00:00Z"),
        ("", "1w", "2025-07-15T00:00:00Z", "2025-07-13T17:00:00Z", "2025-07-20T17:00:00Z"),
        ("", "1mo", "2025-07-31T17:00:00Z", "2025-07-31T17:00:00Z", "2025-08-31T17:00:00Z"),
        ("time_zone: UTC\n", "1mo", "2025-07-31T17:00:00Z", "2025-07-01T00:00:00Z", "2025-08-01T00:00:00Z"),
    ];
    for (zone, every, time, start, end) in cases {
        let text = timed(&format!("lateness: 10s\n{zone}"), &format!("  - {{measurement: m, every: {every}, fields: {{n: count()}}}}\n"));
        let mut sim = Sim::new(setup(&text), 1);
        sim.event(0, "t.a", "a", Timestamp::parse_rfc3339(time.as_bytes()).unwrap(), json!({})).finish().step(s(0));
        let row = &sim.rows[0];
        assert_eq!((row.start.to_string(), row.end.to_string()), (start.to_owned(), end.to_owned()), "{every} {time}");
    }
}

/// T6: windows of an hour or more publish early rows, every minute by default.
#[test]
fn t6_early_rows_every_minute() {
    let mut sim = Sim::new(
        setup(&pipeline("  - {measurement: h, every: 1h, fields: {n: count()}}\n").replace("idle_after: 30s", "idle_after: 10m")),
        1,
    );
    sim.event(0, "t.a", "a", s(1), json!({})).step(s(1));
    assert_eq!((sim.rows(s(60)), sim.rows(s(61))), (NONE, vec!["h 0 n=1i provisional r0".to_owned()]));
    assert_eq!(sim.event(0, "t.a", "a", s(62), json!({})).rows(s(62)), NONE);
    assert_eq!(sim.rows(s(121)), ["h 0 n=2i provisional r1"], "a minute after the last one");
    assert_eq!(sim.rows(s(181)), NONE, "nothing changed");
    assert_eq!(sim.event(0, "t.a", "a", s(3605), json!({})).rows(s(3605)), ["h 0 n=2i final r2"]);
}

/// T6, R3: early rows count from the tick to which the record belongs, whether it was taken while that tick was cut or before (a record
/// that does not pass the clock of a recorded partition is taken while the next second is looked for).
#[test]
fn t6_early_counts_from_the_records_tick() {
    let text = pipeline("  - {measurement: h, every: 1h, fields: {n: count()}}\n").replace("idle_after: 30s", "idle_after: 10m");
    let kept = |second, id: &str| Kept { broker_time: None, body: event("t.a", "a", id, s(second), json!({})) };
    for before in [false, true] {
        let mut lane = Lane::new(setup(&text));
        lane.ensure_partitions(1);
        let mut step = |second: i64, records: &[(u64, Kept)]| {
            if before {
                records.iter().for_each(|(offset, kept)| _ = lane.take(0, record(kept, *offset), Timestamp::MAX));
            }
            lane.begin(s(second), 1);
            for (offset, kept) in records {
                if lane.collectors[0].next_offset() == *offset {
                    lane.take(0, record(kept, *offset), Timestamp::MAX).unwrap();
                }
            }
            let at = PartitionTick { end: lane.collectors[0].next_offset(), read_time: None, unreadable: false, finished: false };
            lane.close(&Tick { time: s(second), partitions: vec![at], ..Tick::default() }).rows.len()
        };
        assert_eq!((step(100, &[]), step(130, &[(0, kept(90, "1"))])), (0, 0));
        assert_eq!((step(189, &[]), step(190, &[])), (0, 1), "taken before its tick: {before}");
    }
}

/// T7: catching up is the same computation; what was found in ticks that are not live says so.
#[test]
fn t7_catching_up_is_the_same() {
    let text = pipeline(MINUTE) + "alerts:\n  - {alert: hot, on: m, when: x > 5, severity: major, title: {vi: V, en: E}}\n";
    let run = |live: bool| {
        let mut sim = Sim::new(setup(&text), 1);
        sim.live = live;
        let mut changes = Vec::new();
        for second in (0..600).step_by(10) {
            let x = if second < 300 { 9 } else { 1 };
            changes.extend(sim.event(0, "t.a", "a", s(second), json!({"x": x})).changes(s(second)));
        }
        (sim.rows, changes)
    };
    let ((rows, changes), (again, late)) = (run(true), run(false));
    assert_eq!(rows, again);
    assert!(rows.iter().all(|r| r.state == RowState::Final) && rows.len() == 9);
    assert_eq!(changes, ["hot inactive>firing 60", "hot firing>resolved 360"]);
    assert_eq!(late, ["hot inactive>firing 60 retroactive", "hot firing>resolved 360"]);
}
