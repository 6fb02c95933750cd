//! The embedded store: conformance, packing, retention, kills.

use super::*;
use crate::disk::copy_as_killed;
use crate::store::{Store, conformance};
use proptest::prelude::*;
use std::collections::BTreeMap;

const DAY: i64 = 86_400;

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn line(series: u32, minute: i64, value: i64, revision: u32) -> String {
    format!("m,s={series} x={value},n={value}i,revision={revision}i,state=\"final\" {}\n", minute * 60_000_000_000)
}

async fn all(store: &Embedded) -> Vec<String> {
    let rows = store.rows("m".into(), Timestamp(0), Timestamp::from_seconds(30 * DAY)).await.unwrap();
    rows.iter().map(|r| format!("{} r{}", r.canonical(), r.revision)).collect()
}

#[test]
fn conforms() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::Embedded(Embedded::open(dir.path()).unwrap());
    block_on(conformance::run(&store, "c")).unwrap();
}

#[test]
fn a_second_owner_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let _first = Embedded::open(dir.path()).unwrap();
    let error = Embedded::open(dir.path()).err().unwrap().to_string();
    assert!(error.contains("another ioc"), "{error}");
}

#[test]
fn bad_lines_are_counted_and_stop_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = Embedded::open(dir.path()).unwrap();
    let lines = format!("{}nonsense\nm x=\"text\" 5\n{}", line(1, 1, 1, 0), line(2, 1, 1, 0));
    let stored = block_on(store.write(1, lines.into_bytes())).unwrap();
    assert_eq!(stored, Stored { rows: 2, refused: 2 });
    assert_eq!(block_on(all(&store)).len(), 2);
}

#[test]
fn packed_hours_read_the_same_and_take_late_rows() {
    let dir = tempfile::tempdir().unwrap();
    block_on(async {
        let store = Embedded::open(dir.path()).unwrap();
        let lines: String = (0..26 * 60).flat_map(|minute| (0..3).map(move |s| line(s, minute, minute + i64::from(s), 0))).collect();
        store.write(1, lines.into_bytes()).await.unwrap();
        let before = all(&store).await;
        assert_eq!(before.len(), 26 * 60 * 3);
        store.pack().await.unwrap();
        let hot = rusqlite::Connection::open(dir.path().join("1970-01-01.sqlite")).unwrap();
        let count = |table: &str| hot.query_row(&format!("SELECT count(*) FROM {table}"), [], |r| r.get::<_, i64>(0)).unwrap();
        assert_eq!((count("hot"), count("packed")), (60 * 3, 23 * 3), "all but the last hours are packed");
        assert_eq!(all(&store).await, before);

        // a late revision over a packed row, an old one that comes again, a new row in a packed hour of another series
        store.write(9, [line(1, 30, 77_777, 1), line(7, 30, 5, 0)].concat().into_bytes()).await.unwrap();
        store.write(3, line(1, 30, 1, 0).into_bytes()).await.unwrap();
        let with_late = all(&store).await;
        assert_eq!(with_late.iter().filter(|l| l.contains("x=77777")).count(), 1);
        assert_eq!(with_late.len(), before.len() + 1);
        store.pack().await.unwrap();
        assert_eq!(all(&store).await, with_late);
        store.write(4, line(1, 30, 1, 0).into_bytes()).await.unwrap();
        assert_eq!(all(&store).await, with_late, "an older tick never replaces a newer one");
    });
}

#[test]
fn retention_unlinks_days_for_good() {
    let dir = tempfile::tempdir().unwrap();
    block_on(async {
        let store = Embedded::open(dir.path()).unwrap();
        let per_day: String = (0..4).map(|day| line(1, day * 1440, day, 0)).collect();
        store.write(1, per_day.clone().into_bytes()).await.unwrap();
        assert_eq!(all(&store).await.len(), 4);
        assert_eq!(store.retain(Timestamp::from_seconds(2 * DAY + 5)).await.unwrap(), 2);
        assert_eq!(all(&store).await.len(), 2);
        assert_eq!(store.write(2, per_day.into_bytes()).await.unwrap(), Stored { rows: 2, refused: 2 });
        assert!(!dir.path().join("1970-01-01.sqlite").exists() && dir.path().join("1970-01-03.sqlite").exists());
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    /// Whatever is written in whatever order, packed and killed at any write: of each identity the row of the last tick is there, once.
    #[test]
    fn the_last_in_journal_order_wins_r3(batches in prop::collection::vec((prop::collection::vec((0u32..4, 0i64..400), 1..30), 0u8..4), 1..8)) {
        block_on(async {
            let mut dir = tempfile::tempdir().unwrap();
            let mut store = Embedded::open(dir.path()).unwrap();
            let mut expected = BTreeMap::new();
            for (tick, (batch, then)) in batches.into_iter().enumerate() {
                let rows: Vec<_> = batch.iter().enumerate().map(|(i, (s, m))| (*s, *m, (tick * 100 + i) as i64)).collect();
                let lines: String = rows.iter().map(|(s, m, v)| line(*s, *m, *v, 0)).collect();
                store.write(tick as u64, lines.into_bytes()).await.unwrap();
                expected.extend(rows.into_iter().map(|(s, m, v)| ((m, s), v)));
                match then {
                    0 => drop(store.pack().await.unwrap()),
                    1 => {
                        let copy = tempfile::tempdir().unwrap();
                        copy_as_killed(dir.path(), copy.path()).unwrap();
                        drop(store);
                        dir = copy;
                        store = Embedded::open(dir.path()).unwrap();
                    }
                    _ => {}
                }
            }
            let found = all(&store).await;
            let expected: Vec<_> = expected.into_iter().map(|((m, s), v)| format!("m,s={s} n={v}i,x={v} {} r0", m * 60_000_000_000)).collect();
            assert_eq!(found, expected);
        });
    }
}
