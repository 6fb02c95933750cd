//! The spool against its invariants, on a disk that forgets.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn folder() -> &'static Path {
    Path::new("/s")
}

fn open(disk: &Disk, bound: u64) -> Spool {
    Spool::open(disk.clone(), folder(), bound).unwrap()
}

fn lines(tick: u64, rows: usize) -> Vec<u8> {
    (0..rows).map(|i| format!("m,a={i} x={tick} {tick}\n")).collect::<String>().into_bytes()
}

fn all(spool: &Spool) -> Vec<u8> {
    spool.take(usize::MAX, usize::MAX).unwrap().map_or(Vec::new(), |b| b.lines)
}

#[test]
fn rows_come_out_in_order_once_acknowledged_never_again_d3() {
    let disk = Disk::memory();
    let spool = open(&disk, DEFAULT_BOUND);
    assert_eq!((spool.last_tick(), spool.take(9, 9).unwrap()), (None, None));
    for tick in [2, 3, 7] {
        assert_eq!(spool.append(tick, &lines(tick, 2)).unwrap(), Spooled::Kept);
    }
    assert_eq!(spool.append(7, &lines(7, 9)).unwrap(), Spooled::Known);
    assert_eq!(*spool.subscribe().borrow(), Some(7));
    let batch = spool.take(4, usize::MAX).unwrap().unwrap();
    assert_eq!((batch.first, batch.last, batch.rows), (2, 3, 4));
    assert_eq!(batch.lines, [lines(2, 2), lines(3, 2)].concat());
    assert_eq!(spool.take(1, 1).unwrap().unwrap().last, 2, "at least one tick");
    spool.ack(3).unwrap();
    assert_eq!(all(&spool), lines(7, 2));
    spool.sync().unwrap();
    disk.crash(|_, _| 0);

    let spool = open(&disk, DEFAULT_BOUND);
    assert_eq!((spool.last_tick(), spool.acked()), (Some(7), Some(3)));
    assert_eq!(all(&spool), lines(7, 2));
    assert_eq!(spool.append(3, &lines(3, 1)).unwrap(), Spooled::Known);
    spool.ack(7).unwrap();
    assert_eq!((all(&spool), spool.figures().waiting_ticks), (vec![], 0));
    disk.crash(|_, _| 0);
    assert_eq!(open(&disk, DEFAULT_BOUND).last_tick(), Some(7));
}

#[test]
fn past_the_bound_ticks_are_owed_until_a_quarter_is_free_d3() {
    let disk = Disk::memory();
    let spool = open(&disk, 400);
    let mut kept = Vec::new();
    for tick in 1..=40 {
        if spool.append(tick, &lines(tick, 3)).unwrap() == Spooled::Kept {
            kept.push(tick);
        }
    }
    let n = kept.len() as u64;
    assert!((4..10).contains(&n) && kept == (1..=n).collect::<Vec<_>>(), "{kept:?}");
    assert_eq!(spool.owed(), [Owed { first: n + 1, last: 40, rows: 3 * (40 - n) }]);
    spool.sync().unwrap();
    disk.crash(|_, _| 0);
    let spool = open(&disk, 400);
    assert_eq!(spool.owed()[0].last, 40, "the list is durable");
    assert_eq!(spool.append(40, b"x 1\n").unwrap(), Spooled::Known);
    spool.ack(40).unwrap();
    assert_eq!(spool.append(41, &lines(41, 1)).unwrap(), Spooled::Kept);
    spool.settle(0, 40).unwrap();
    assert_eq!(spool.owed(), []);
    assert_eq!((spool.figures().owed_rows, spool.last_tick()), (0, Some(41)));
}

#[test]
fn the_list_of_owed_is_bounded_d6() {
    let spool = open(&Disk::memory(), DEFAULT_BOUND);
    let mut inner = spool.inner();
    for i in 0..3 * OWED_RANGES as u64 {
        inner.owe(Owed { first: 10 * i, last: 10 * i + 1 + i % 3, rows: 1 });
        inner.state.acked = Some(10 * i + 5);
    }
    let owed = &inner.state.owed;
    assert_eq!((owed.len(), owed.iter().map(|o| o.rows).sum::<u64>()), (OWED_RANGES, 3 * OWED_RANGES as u64));
    assert!(owed.windows(2).all(|w| w[0].last < w[1].first));
}

#[test]
fn a_damaged_segment_is_owed_not_forgotten() {
    let disk = Disk::memory();
    let spool = open(&disk, DEFAULT_BOUND);
    for tick in 1..=3 {
        spool.append(tick, &lines(tick, 1)).unwrap();
    }
    spool.inner().roll().unwrap();
    spool.append(6, &lines(6, 1)).unwrap();
    spool.sync().unwrap();
    drop(spool);
    let path = folder().join(segment::name_of(0));
    let len = disk.read(&path).unwrap().len() as u64;
    disk.open_append(&path).unwrap().set_len(len - 1).unwrap();
    let spool = open(&disk, DEFAULT_BOUND);
    assert_eq!(spool.owed(), [Owed { first: 3, last: 5, rows: 0 }]);
    assert_eq!(all(&spool), [lines(1, 1), lines(2, 1), lines(6, 1)].concat());
}

#[test]
fn segments_go_when_they_are_through() {
    let disk = Disk::memory();
    let spool = open(&disk, DEFAULT_BOUND);
    let big = vec![b'x'; SEGMENT_BYTES as usize];
    for tick in 1..=3 {
        spool.append(tick, &big).unwrap();
    }
    assert_eq!(disk.list(folder()).unwrap().len(), 3);
    spool.ack(3).unwrap();
    assert!(spool.figures().bytes_on_disk == 0, "{:?}", disk.list(folder()).unwrap());
}

#[derive(Clone, Debug)]
enum Step {
    Append(usize),
    Sync,
    Ack,
    /// Power off; this share of every unsynced tail survives.
    Crash(u8),
    /// The same after a failure some steps into the next operations.
    FailThenCrash(u64, u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => (1usize..5).prop_map(Step::Append),
        3 => Just(Step::Sync),
        2 => Just(Step::Ack),
        1 => any::<u8>().prop_map(Step::Crash),
        1 => (0u64..6, any::<u8>()).prop_map(|(n, share)| Step::FailThenCrash(n, share)),
    ]
}

proptest! {
    /// A driver that appends ticks in order and, after a crash, says again whatever the spool does not know; a store that takes and
    /// acknowledges. Whatever crashes when: every tick synced is kept or owed, the store sees every tick in order, those acknowledged
    /// durably once.
    #[test]
    fn nothing_lost_nothing_out_of_order_under_crashes_d1_d3(steps in prop::collection::vec(step(), 1..60)) {
        let disk = Disk::memory();
        let mut spool = open(&disk, 300);
        let mut rows: BTreeMap<u64, usize> = BTreeMap::new();
        let (mut next, mut durable, mut acked) = (1u64, 0u64, 0u64);
        let mut stored: Vec<u64> = Vec::new();
        for step in steps {
            let mut crash = None;
            match step {
                Step::Append(n) => {
                    let n = *rows.entry(next).or_insert(n);
                    match spool.append(next, &lines(next, n)) {
                        Ok(_) => next += 1,
                        Err(_) => crash = Some(0),
                    }
                }
                Step::Sync => match spool.sync() {
                    Ok(()) => durable = next - 1,
                    Err(_) => crash = Some(0),
                },
                Step::Ack => if let Some(batch) = spool.take(4, usize::MAX).unwrap() {
                    prop_assert!(batch.first > acked);
                    stored.retain(|t| *t < batch.first);
                    let owed = spool.owed();
                    let kept = (batch.first..=batch.last).filter(|t| !owed.iter().any(|o| (o.first..=o.last).contains(t)));
                    prop_assert_eq!(batch.lines, kept.flat_map(|t| lines(t, rows[&t])).collect::<Vec<_>>());
                    stored.extend(batch.first..=batch.last);
                    match spool.ack(batch.last) {
                        Ok(()) => acked = batch.last,
                        Err(_) => crash = Some(0),
                    }
                },
                Step::Crash(share) => crash = Some(share),
                Step::FailThenCrash(n, share) => {
                    disk.fail_from(disk.steps() + n);
                    let _ = spool.append(next, &lines(next, *rows.entry(next).or_insert(1)));
                    let _ = spool.sync();
                    crash = Some(share);
                }
            }
            if let Some(share) = crash {
                drop(spool);
                disk.crash(|_, unsynced| unsynced * share as usize / 255);
                spool = open(&disk, 300);
                let last = spool.last_tick().unwrap_or(0);
                prop_assert!(last >= durable, "synced up to {durable}, found {last}");
                prop_assert!(spool.acked().unwrap_or(0) >= acked);
                acked = spool.acked().unwrap_or(0);
                // recovery says everything the journal has again
                next = last + 1;
            }
        }
        let owed = spool.owed();
        while let Some(batch) = spool.take(3, usize::MAX).unwrap() {
            stored.retain(|t| *t < batch.first);
            stored.extend(batch.first..=batch.last);
            spool.ack(batch.last).unwrap();
        }
        for tick in 1..next {
            let is_owed = owed.iter().any(|o| (o.first..=o.last).contains(&tick));
            prop_assert!(is_owed || stored.contains(&tick) || tick <= acked, "tick {} is nowhere", tick);
        }
        prop_assert!(stored.is_sorted());
    }

    /// Cut at any byte, the last segment keeps its whole records.
    #[test]
    fn cut_anywhere_a_prefix_stays(cut in any::<prop::sample::Index>(), damage: bool) {
        let disk = Disk::memory();
        let spool = open(&disk, DEFAULT_BOUND);
        for tick in 1..=5 {
            spool.append(tick, &lines(tick, tick as usize)).unwrap();
        }
        spool.sync().unwrap();
        drop(spool);
        let path = folder().join(segment::name_of(0));
        let len = disk.read(&path).unwrap().len();
        let cut = cut.index(len);
        disk.open_append(&path).unwrap().set_len(cut as u64).unwrap();
        if damage {
            disk.open_append(&path).unwrap().write_all(&[0; 30]).unwrap();
        }
        let spool = open(&disk, DEFAULT_BOUND);
        let last = spool.last_tick().unwrap_or(0);
        prop_assert_eq!(all(&spool), (1..=last).flat_map(|t| lines(t, t as usize)).collect::<Vec<_>>());
        prop_assert!(last < 5);
        spool.append(last + 1, b"m x=9 9\n").unwrap();
        spool.sync().unwrap();
        drop(spool);
        disk.crash(|_, _| 0);
        prop_assert!(all(&open(&disk, DEFAULT_BOUND)).ends_with(b"m x=9 9\n"));
    }
}
