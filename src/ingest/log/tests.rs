//! The embedded log against its invariants.

use super::*;
use crate::disk::copy_as_killed;
use proptest::prelude::*;
use std::collections::BTreeMap;

const DAY: i64 = 86_400;

fn record(key: &str, value: &str, seconds: Option<i64>) -> NewRecord {
    NewRecord {
        key: Some(Bytes::copy_from_slice(key.as_bytes())),
        value: Bytes::copy_from_slice(value.as_bytes()),
        broker_time: seconds.map(Timestamp::from_seconds),
        ..NewRecord::default()
    }
}

fn all(log: &Log, partition: u32) -> Vec<Record> {
    log.reader().read(partition, log.start_offsets()[partition as usize], usize::MAX >> 1).unwrap()
}

#[test]
fn what_was_appended_is_read_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::open(dir.path(), "events", 4).unwrap();
    let headers: Vec<Header> = vec![("ce_type".into(), Bytes::from_static(b"traffic.loop"))];
    let with_headers = NewRecord { headers: headers.clone(), ..record("21", "a", Some(5)) };
    let first = log.append_blocking(vec![with_headers, record("21", "b", Some(3))]).unwrap();
    let p = partition_of(b"21", 4);
    assert_eq!(first[0], Appended { partition: p, offset: 0, broker_time: Timestamp::from_seconds(5) });
    assert_eq!(first[1], Appended { partition: p, offset: 1, broker_time: Timestamp::from_seconds(5) }, "the running maximum");
    assert!(matches!(Log::open(dir.path(), "events", 4), Err(LogError::InUse(_))));
    drop(log);

    assert!(matches!(Log::open(dir.path(), "events", 3), Err(LogError::Partitions { found: 4, asked: 3, .. })));
    let log = Log::open(dir.path(), "events", 4).unwrap();
    let now = log.append_blocking(vec![record("21", "c", None)]).unwrap()[0];
    assert!(now.offset == 2 && now.broker_time > Timestamp::from_seconds(1_700_000_000), "the wall clock");
    let records = all(&log, p);
    assert_eq!(records.iter().map(|r| &r.value[..]).collect::<Vec<_>>(), [b"a", b"b", b"c"]);
    assert_eq!((&records[0].headers, records[0].key.as_deref()), (&headers, Some(&b"21"[..])));
    assert_eq!(log.end_offsets()[p as usize], 3);
}

#[test]
fn a_file_whose_making_was_killed_is_no_day() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("t").join("2026-01-01.sqlite");
    std::fs::create_dir(dir.path().join("t")).unwrap();
    std::fs::write(&file, b"").unwrap();
    let log = Log::open(dir.path(), "t", 1).unwrap();
    assert!(!file.exists());
    assert_eq!(log.append_blocking(vec![record("k", "v", Some(5))]).unwrap()[0].offset, 0);
}

#[test]
fn large_records_come_in_smaller_chunks_d6() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::open(dir.path(), "t", 1).unwrap();
    let large = NewRecord { value: vec![7; BATCH_BYTES / 2].into(), ..record("k", "", Some(5)) };
    log.append_blocking(vec![large; 5]).unwrap();
    assert_eq!(log.reader().read(0, 0, 100).unwrap().len(), 2);
    assert_eq!(log.reader().read(0, 4, 100).unwrap().len(), 1);
}

#[test]
fn names_and_partitions_are_checked() {
    let dir = tempfile::tempdir().unwrap();
    for bad in ["", ".", "..", "a/b", "sự-kiện", &"x".repeat(250)] {
        assert!(matches!(Log::open(dir.path(), bad, 4), Err(LogError::TopicName(_))), "{bad}");
    }
    let log = Log::open(dir.path(), "t", 2).unwrap();
    let wrong = NewRecord { partition: Some(2), ..NewRecord::default() };
    assert!(matches!(log.append_blocking(vec![wrong]), Err(LogError::NoPartition { partition: 2, last: 1, .. })));
    assert!(matches!(log.reader().read(7, 0, 1), Err(LogError::NoPartition { .. })));
    let spread = log.append_blocking(vec![NewRecord::default(); 4]).unwrap();
    assert_eq!(spread.iter().filter(|a| a.partition == 0).count(), 2, "records without a key take turns");
}

#[test]
fn days_go_oldest_first_and_offsets_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::open(dir.path(), "t", 2).unwrap();
    let at = |p: u32, day: i64| NewRecord { partition: Some(p), ..record("k", "v", Some(day * DAY + 7)) };
    // partition 1 is quiet after day 10
    log.append_blocking(vec![at(0, 10), at(1, 10), at(0, 11), at(0, 12)]).unwrap();
    assert_eq!(
        std::fs::read_dir(dir.path().join("t"))
            .unwrap()
            .filter(|e| e.as_ref().unwrap().path().extension().is_some_and(|x| x == "sqlite"))
            .count(),
        3
    );
    let mut reader = log.reader();
    assert_eq!(reader.read(0, 0, 2).unwrap().len(), 2);
    for (p, seconds, offset) in
        [(0, 0, 0), (0, 10 * DAY + 7, 0), (0, 10 * DAY + 8, 1), (0, 12 * DAY, 2), (0, 13 * DAY, 3), (1, 11 * DAY, 1)]
    {
        assert_eq!(reader.offset_at(p, Timestamp::from_seconds(seconds)).unwrap(), offset, "{p} {seconds}");
    }
    let now = Timestamp::from_seconds(12 * DAY + 8);
    let keep = |days: i64, bytes: u64| Retention { age: Span::days(days), bytes, needed: None };
    // what a start would read again stays, however old
    let unread = |needed: Vec<u64>| Retention { needed: Some(needed), ..keep(1, u64::MAX) };
    assert_eq!(log.retain_blocking(unread(vec![0, 9]), now).unwrap(), []);
    assert_eq!(log.retain_blocking(unread(vec![]), now).unwrap(), [], "a partition that no checkpoint knows");
    assert_eq!(log.retain_blocking(keep(7, u64::MAX), now).unwrap(), []);
    assert_eq!(log.retain_blocking(keep(1, u64::MAX), now).unwrap().len(), 1);
    assert_eq!((log.start_offsets(), log.end_offsets()), (vec![1, 1], vec![3, 1]));
    assert!(matches!(reader.read(0, 0, 9), Err(LogError::Deleted { asked: 0, start: 1, .. })));
    assert_eq!(reader.read(0, 1, 9).unwrap().len(), 2);
    // by bytes; the newest stays
    assert_eq!(log.retain_blocking(keep(7, 0), now).unwrap().len(), 1);
    assert_eq!(log.retain_blocking(keep(0, 0), Timestamp::from_seconds(99 * DAY)).unwrap(), []);
    drop((reader, log));
    let log = Log::open(dir.path(), "t", 2).unwrap();
    assert_eq!((log.start_offsets(), log.end_offsets()), (vec![2, 1], vec![3, 1]), "partition 1 lies in no file any more");
    let next = log.append_blocking(vec![at(1, 3)]).unwrap()[0];
    assert_eq!((next.offset, next.broker_time), (1, Timestamp::from_seconds(12 * DAY)), "never before the oldest day kept");
}

#[test]
fn tail_follows_across_appends() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::open(dir.path(), "t", 1).unwrap();
    log.append_blocking((0..5).map(|i| record("k", &i.to_string(), Some(i))).collect()).unwrap();
    let mut tail = log.tail(0, 1, 3, 1);
    assert_eq!(tail.blocking_recv().unwrap().unwrap().len(), 3);
    assert_eq!(tail.blocking_recv().unwrap().unwrap()[0].offset, 4);
    log.append_blocking(vec![record("k", "5", None)]).unwrap();
    assert_eq!(tail.blocking_recv().unwrap().unwrap()[0].offset, 5);
    drop(log);
    assert!(tail.blocking_recv().is_none(), "ends with the log");
}

#[test]
fn writers_ask_for_full_durability() {
    let dir = tempfile::tempdir().unwrap();
    let stands = day::PartitionState { next_offset: 0, broker_time: Timestamp(0) };
    let connection = day::create(&dir.path().join("2026-01-01.sqlite"), &[stands]).unwrap();
    assert_eq!(database::synchronous(&connection).unwrap(), 2);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    /// Whatever is appended in whatever batches, with a kill after any of them: offsets are dense, times never go back, everything that was
    /// answered is there.
    #[test]
    fn dense_and_durable_under_kills(batches in prop::collection::vec((prop::collection::vec((0u8..6, 0i64..2 * DAY), 1..20), any::<bool>()), 1..8)) {
        let mut dir = tempfile::tempdir().unwrap();
        let mut log = Log::open(dir.path(), "t", 4).unwrap();
        let mut answered: BTreeMap<(u32, u64), (Timestamp, String)> = BTreeMap::new();
        for (n, (batch, kill)) in batches.into_iter().enumerate() {
            let values: Vec<_> = batch.iter().enumerate().map(|(i, (key, t))| (key.to_string(), format!("{n}.{i}"), *t)).collect();
            let records = values.iter().map(|(k, v, t)| record(k, v, Some(*t))).collect();
            for (at, (_, value, _)) in log.append_blocking(records).unwrap().iter().zip(values) {
                answered.insert((at.partition, at.offset), (at.broker_time, value));
            }
            if kill {
                let copy = tempfile::tempdir().unwrap();
                copy_as_killed(dir.path(), copy.path()).unwrap();
                drop(log);
                dir = copy;
                log = Log::open(dir.path(), "t", 4).unwrap();
            }
        }
        let mut found = BTreeMap::new();
        for p in 0..4 {
            let records = all(&log, p);
            for (i, r) in records.iter().enumerate() {
                prop_assert_eq!(r.offset, i as u64);
                prop_assert!(i == 0 || records[i - 1].broker_time <= r.broker_time);
                found.insert((p, r.offset), (r.broker_time, String::from_utf8(r.value.to_vec()).unwrap()));
            }
            prop_assert_eq!(records.len() as u64, log.end_offsets()[p as usize]);
        }
        prop_assert_eq!(found, answered);
    }
}

#[test]
fn many_waiters_share_a_commit() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::open(dir.path(), "t", 4).unwrap();
    let threads: Vec<_> = (0..8)
        .map(|t| {
            let log = log.clone();
            std::thread::spawn(move || {
                for i in 0..20 {
                    log.append_blocking(vec![record(&format!("{t}"), &format!("{i}"), None)]).unwrap();
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|t| t.join().unwrap());
    assert_eq!(log.end_offsets().iter().sum::<u64>(), 160);
}
