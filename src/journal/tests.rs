//! The journal against its invariants.

use super::reader::Change;
use super::*;
use crate::disk::copy_as_killed;
use crate::engine::{Act, Action, AlertId, Condition, FieldValue, Key, PartitionTick, RowState};
use proptest::prelude::*;
use std::sync::Arc;

fn entry(number: u64) -> JournalEntry {
    let partition =
        PartitionTick { end: number * 10, read_time: Some(Timestamp::from_seconds(number as i64)), unreadable: false, finished: false };
    let tick = Tick { number, time: Timestamp::from_seconds(number as i64), live: true, partitions: vec![partition; 4], ..Tick::default() };
    JournalEntry { tick, ..JournalEntry::default() }
}

fn alert(tick: u64, id: u8) -> AlertChange {
    AlertChange {
        tick,
        id: AlertId([id; 16]),
        pipeline: 0,
        rule: 1,
        key: Arc::new(Key { tags: vec!["24617".into(), "loop 7".into()], area: None }),
        from: Condition::Pending,
        to: Condition::Firing,
        at: Timestamp::from_seconds(60),
        window_start: Timestamp::from_seconds(0),
        window_end: Timestamp::from_seconds(60),
        row_revision: 1,
        row_state: RowState::Final,
        since: Timestamp::from_seconds(60),
        values: vec![FieldValue::Absent, FieldValue::Int(3), FieldValue::Float(0.1 + 0.2)],
        heard: Some(1),
        expected: None,
        rule_version: "ab".into(),
        reason: None,
        retroactive: false,
        case: None,
        clauses: Vec::new(),
        positions: Vec::new(),
    }
}

fn acknowledged(tick: u64, id: u8) -> HandlingChange {
    let action =
        Action {
            alert: AlertId([id; 16]), version: 1, by: "Lan".into(), note: "đã gọi".into(), at: Timestamp(5), act: Act::Acknowledge
        };
    HandlingChange { tick, action, refused: None }
}

fn configuration(text: &str) -> Configuration {
    let file = |path: &str, text: &str| ConfigurationFile { path: path.into(), bytes: text.into() };
    Configuration { files: vec![file("pipelines/a.yaml", text), file("registry/areas/x.geojson", "{}")] }
}

fn read(reader: &JournalReader, from: u64) -> Vec<JournalEntry> {
    reader.ticks_from(from).map(|e| e.unwrap()).collect()
}

#[test]
fn everything_comes_back_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(dir.path()).unwrap();
    assert_eq!(journal.last_tick(), None);
    let mut all: Vec<_> = (1..=9).map(entry).collect();
    all[0].configuration = Some(configuration("one"));
    all[0].notes = vec![Note::Started { lane: "live".into(), at: Timestamp(1), version: "0.1.0".into() }];
    all[3].alerts = vec![alert(4, 7), alert(4, 8)];
    all[3].handling = vec![acknowledged(4, 7)];
    all[5].configuration = Some(configuration("two"));
    all[6].notes = vec![Note::Lost { index: 2, from: 3, to: 9, after: None, before: Some(Timestamp(4)) }];
    for batch in [0..1, 1..4, 4..9] {
        journal.append(&all[batch]).unwrap();
    }
    let reader = journal.reader().unwrap();
    assert_eq!(read(&reader, 0), all);
    assert_eq!(read(&reader, 4), all[3..]);
    assert_eq!(read(&reader, 10), []);
    assert_eq!(reader.bounds().unwrap(), Some((1, 9)));
    assert_eq!(reader.history(AlertId([7; 16])).unwrap(), [Change::Alert(Box::new(alert(4, 7))), Change::Handling(acknowledged(4, 7))]);
    assert_eq!(reader.notes().unwrap().len(), 2);
    for (tick, since, text) in [(1, 1, "one"), (5, 1, "one"), (6, 6, "two"), (99, 6, "two")] {
        assert_eq!(reader.configuration_at(tick).unwrap(), Some((since, configuration(text))), "{tick}");
    }
    drop(journal);
    assert_eq!(Journal::open(dir.path()).unwrap().last_tick(), Some(9));
    assert_ne!(configuration("one").hash(), configuration("two").hash());
}

#[test]
fn a_hole_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(dir.path()).unwrap();
    journal.append(&[entry(5), entry(6)]).unwrap();
    assert!(matches!(journal.append(&[entry(7), entry(9)]), Err(JournalError::Gap { last: 7, found: 9, .. })));
    assert!(matches!(journal.append(&[entry(6)]), Err(JournalError::Gap { .. })));
    assert_eq!(journal.last_tick(), Some(6));
    journal.append(&[entry(7)]).unwrap();
    assert_eq!(read(&journal.reader().unwrap(), 0).len(), 3);
}

#[test]
fn one_writer_and_the_old_one_is_fenced_d4() {
    let dir = tempfile::tempdir().unwrap();
    let mut old = Journal::open(dir.path()).unwrap();
    old.append(&[entry(1)]).unwrap();
    let error = Journal::open(dir.path()).err().unwrap();
    assert!(matches!(error, JournalError::StandsBy(_)) && error.to_string().contains("stands by"));
    // a lock that another machine does not see (a network disk): the epoch still fences
    std::fs::remove_file(dir.path().join("journal.lock")).unwrap();
    let mut new = Journal::open(dir.path()).unwrap();
    assert!(new.epoch() > old.epoch());
    assert!(matches!(old.append(&[entry(2)]), Err(JournalError::Fenced { .. })));
    assert_eq!(new.last_tick(), Some(1));
    new.append(&[entry(2)]).unwrap();
    assert_eq!(read(&new.reader().unwrap(), 2), [entry(2)]);
}

#[test]
fn a_newer_format_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(Journal::open(dir.path()).unwrap());
    Connection::open(dir.path().join("journal.sqlite")).unwrap().pragma_update(None, "user_version", FORMAT + 1).unwrap();
    let text = Journal::open(dir.path()).err().unwrap().to_string();
    assert!(text.contains("Start the newer ioc"), "{text}");
    assert!(JournalReader::open(dir.path()).is_err());
}

#[test]
fn retention_keeps_what_is_in_force() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(dir.path()).unwrap();
    for n in 1..=8 {
        let mut e = entry(n);
        e.alerts = vec![alert(n, n as u8)];
        e.configuration = (n % 3 == 1).then(|| configuration(&n.to_string()));
        journal.append(&[e]).unwrap();
    }
    journal.retain(6, Timestamp::from_seconds(3).0, i64::MIN).unwrap();
    let reader = journal.reader().unwrap();
    assert_eq!(reader.bounds().unwrap(), Some((6, 8)));
    assert_eq!(read(&reader, 0)[0].tick.number, 6);
    assert_eq!(reader.configuration_at(6).unwrap(), Some((4, configuration("4"))));
    assert_eq!(reader.configuration_at(3).unwrap(), None);
    assert_eq!((reader.history(AlertId([2; 16])).unwrap().len(), reader.history(AlertId([3; 16])).unwrap().len()), (0, 1));
    let contents: i64 = journal.connection.query_row("SELECT count(*) FROM contents", [], |r| r.get(0)).unwrap();
    assert_eq!(contents, 3, "two pipelines and one registry file");
    journal.retain(99, i64::MAX, i64::MAX).unwrap();
    assert_eq!(journal.reader().unwrap().bounds().unwrap(), Some((8, 8)), "the last tick is never forgotten");
}

#[test]
fn ticks_come_without_a_gap() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(dir.path()).unwrap();
    journal.append(&[entry(1), entry(2)]).unwrap();
    assert!(matches!(journal.append(&[entry(4)]), Err(JournalError::Gap { .. })));
    assert_eq!(journal.last_tick(), Some(2));
}

#[test]
fn the_journal_asks_for_full_durability_d2() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(database::synchronous(&Journal::open(dir.path()).unwrap().connection).unwrap(), 2);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    /// Killed after any append, the journal holds exactly what was answered, whatever the batches.
    #[test]
    fn a_prefix_survives_d2(batches in prop::collection::vec((1u64..6, any::<bool>(), 0u8..3), 1..12)) {
        let mut dir = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(dir.path()).unwrap();
        let mut all: Vec<JournalEntry> = Vec::new();
        for (size, kill, alerts) in batches {
            let first = all.len() as u64 + 1;
            let mut batch: Vec<_> = (first..first + size).map(entry).collect();
            batch[0].alerts = (0..alerts).map(|i| alert(first, i)).collect();
            journal.append(&batch).unwrap();
            all.extend(batch);
            if kill {
                let copy = tempfile::tempdir().unwrap();
                copy_as_killed(dir.path(), copy.path()).unwrap();
                drop(journal);
                dir = copy;
                journal = Journal::open(dir.path()).unwrap();
                prop_assert_eq!(journal.last_tick(), Some(all.len() as u64));
            }
        }
        let reader = journal.reader().unwrap();
        prop_assert_eq!(read(&reader, 0), all.clone());
        let middle = all.len() / 2;
        prop_assert_eq!(read(&reader, middle as u64 + 1), &all[middle..]);
    }
}

fn told(number: u64, tick: u64) -> Told {
    let (time, json) = (Timestamp::from_seconds(tick as i64).0, format!("{{\"n\":{number}}}"));
    Told { number, tick, time, alert: "a".repeat(32), version: 1, sector: "traffic".into(), area: None, json }
}

/// D2: what other programs are told is journaled with its tick, in order, numbered for ever.
#[test]
fn d2_what_is_told_is_journaled_with_its_tick_and_numbered_for_ever() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(dir.path()).unwrap();
    assert_eq!(journal.last_told(), 0);
    let with = |number: u64, all: &[u64]| JournalEntry { told: all.iter().map(|n| told(*n, number)).collect(), ..entry(number) };
    journal.append(&[with(1, &[1, 2]), with(2, &[]), with(3, &[3])]).unwrap();
    assert!(journal.append(&[with(4, &[4]), with(9, &[5])]).is_err(), "a hole in the ticks: nothing of it is there");
    assert_eq!(journal.last_told(), 3);
    let reader = journal.reader().unwrap();
    let numbers = |after, limit| reader.told_after(after, limit).unwrap().iter().map(|t| t.number).collect::<Vec<_>>();
    assert_eq!((numbers(0, 9), numbers(1, 1), numbers(3, 9)), (vec![1, 2, 3], vec![2], vec![]));
    assert_eq!(reader.told_after(2, 9).unwrap(), [told(3, 3)]);
    journal.retain(0, i64::MIN, i64::MAX).unwrap();
    assert_eq!(numbers(0, 9), Vec::<u64>::new());
    drop((reader, journal));
    let journal = Journal::open(dir.path()).unwrap();
    assert_eq!(journal.last_told(), 3, "numbers are not given twice, though all was forgotten");
}
