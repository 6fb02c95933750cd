//! The two laws of R3 and what belongs to them, as properties.

use crate::support::feed::{Log, feed, record, recorded, restored};
use crate::support::sets::{laws_setup, logs};
use crate::support::{T0, Values, history, visible};
use ioc::engine::lane::{Effects, Lane};
use ioc::engine::setup::Setup;
use ioc::engine::{PartitionTick, Row, Tick};
use ioc::file_run::{RunError, Sink};
use ioc::ingest::file::FileReader;
use ioc::time::{Span, Timestamp};
use proptest::prelude::*;
use std::sync::{Arc, LazyLock};

static SETUP: LazyLock<Arc<Setup>> = LazyLock::new(laws_setup);

/// `n` cases; `make laws` asks for more and other ones.
pub fn cases(n: u32) -> ProptestConfig {
    let times = std::env::var("IOC_LAWS_TIMES").ok().and_then(|t| t.parse().ok()).unwrap_or(1);
    ProptestConfig { cases: n * times, max_shrink_iters: 200, failure_persistence: None, ..ProptestConfig::default() }
}

/// How a log is cut: by step, how much of each partition is read, how time moves, who cannot be read.
#[derive(Clone, Debug)]
pub struct Cuts {
    style: bool,
    steps: Vec<(u8, u8, u8)>,
}

pub fn cuts() -> impl Strategy<Value = Cuts> {
    (any::<bool>(), prop::collection::vec((0u8..12, 0u8..40, 0u8..16), 1..40)).prop_map(|(style, steps)| Cuts { style, steps })
}

/// The clock of a record: broker_time where there is one.
fn clocks(log: &Log) -> Vec<Vec<Timestamp>> {
    log.iter().map(|records| records.iter().map(|r| r.broker_time.unwrap_or(T0)).collect()).collect()
}

/// Ticks over a log: any cut that a driver could make, then everything, then the end.
pub fn ticks(log: &Log, cuts: &Cuts) -> Vec<Tick> {
    let clocks = clocks(log);
    let live = cuts.style && log.iter().flatten().all(|r| r.broker_time.is_some());
    let mut ends = vec![0usize; log.len()];
    let mut read: Vec<Timestamp> = vec![T0 - Span::seconds(60); log.len()];
    let (mut time, mut out) = (T0, Vec::new());
    let mut push = |time: Timestamp, partitions: Vec<PartitionTick>| {
        let number = out.len() as u64;
        out.push(Tick { number, time, live: !number.is_multiple_of(3), partitions, ..Tick::default() });
    };
    let steps = cuts.steps.iter().copied().chain(std::iter::repeat((5, 20, 0)));
    for (at, (take, jump, dark)) in steps.take(200).enumerate() {
        let mut partitions = Vec::new();
        for p in 0..log.len() {
            let unreadable = live && dark as usize & (1 << p) != 0 && dark < 8;
            if !unreadable {
                ends[p] = (ends[p] + (take as usize + p) % 12).min(log[p].len());
                let next = clocks[p].get(ends[p]).copied().unwrap_or(time + Span::seconds(i64::from(jump)));
                read[p] = read[p].max(next);
            }
            let read_time = live.then_some(read[p]);
            partitions.push(PartitionTick { end: ends[p] as u64, read_time, unreadable, finished: false });
        }
        let least = read.iter().min().copied().unwrap_or(T0);
        time = if live { time.max(least) } else { time + Span::seconds(i64::from(jump)) };
        push(time, partitions);
        if ends.iter().zip(log).all(|(e, l)| *e == l.len()) && at >= cuts.steps.len() {
            break;
        }
    }
    let all = |finished| log.iter().map(move |l| PartitionTick { end: l.len() as u64, read_time: None, unreadable: false, finished });
    push(time, all(false).collect());
    push(time, all(true).collect());
    out
}

fn values_of(log: &Log, ticks: &[Tick]) -> (Values, Lane) {
    let mut lane = Lane::new(SETUP.clone());
    let mut values = Values::default();
    for tick in ticks {
        values.add(&SETUP, &feed(&mut lane, log, tick).rows);
    }
    (values, lane)
}

#[derive(Default)]
struct Collected {
    rows: Vec<Row>,
    history: Vec<String>,
}

impl Sink for Collected {
    fn tick(&mut self, _: &Setup, tick: &Tick, effects: Effects) -> Result<(), RunError> {
        self.history.push(format!("{tick:?} {}", history(&effects)));
        self.rows.extend(effects.rows);
        Ok(())
    }
}

/// The counts that T0 promises, for every pipeline and partition.
/// The same ticks give the same history, with the state taken through JSON after those that `stops` says.
pub fn check_history(setup: &Arc<Setup>, log: &Log, ticks: &[Tick], stops: &[bool]) -> Result<(), TestCaseError> {
    let (mut whole, mut stopped) = (Lane::new(setup.clone()), Lane::new(setup.clone()));
    for (tick, stop) in ticks.iter().zip(stops.iter().cycle()) {
        prop_assert_eq!(history(&feed(&mut whole, log, tick)), history(&feed(&mut stopped, log, tick)));
        if *stop {
            stopped = restored(&stopped);
        }
    }
    Ok(())
}

/// Cutting only where input or a deadline falls shows what a dense grid shows, at the same times.
pub fn check_deadlines(setup: &Arc<Setup>, log: &Log) -> Result<(), TestCaseError> {
    let run = |dense| {
        let mut seen = Vec::new();
        recorded(setup, log, dense, |_, tick, effects| {
            let visible = visible(effects);
            if !visible.is_empty() {
                seen.push((tick.time, visible));
            }
        });
        seen
    };
    prop_assert_eq!(run(false), run(true));
    Ok(())
}

fn check_counts(lane: &Lane) -> Result<(), TestCaseError> {
    for (pipeline, spec) in lane.setup.pipelines.iter().enumerate() {
        for collector in &lane.collectors {
            let c = collector.counts(pipeline);
            prop_assert_eq!(c.read, collector.next_offset(), "every record of {} has a verdict", spec.name);
            prop_assert_eq!(c.read, c.rejected_total() + c.unwanted + c.late + c.duplicate + c.accepted);
            let by_source: u64 = c.sources.iter().map(|s| u64::from(s.unwanted + s.late + s.duplicate + s.accepted)).sum();
            prop_assert_eq!(by_source, c.unwanted + c.late + c.duplicate + c.accepted, "every count is kept by source");
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(cases(48))]

    /// R3, Values: the same input per partition gives the same last rows, whatever the ticks, live or recorded, unreadable spans included;
    /// and T0: read is the sum of the five.
    #[test]
    fn r3_values_whatever_the_ticks(log in logs(40, true), a in cuts(), b in cuts()) {
        let (ours, lane) = values_of(&log, &ticks(&log, &a));
        let (theirs, other) = values_of(&log, &ticks(&log, &b));
        prop_assert_eq!(&ours, &theirs);
        check_counts(&lane)?;
        for p in 0..SETUP.pipelines.len() {
            prop_assert_eq!(lane.counts(p), other.counts(p), "verdicts do not depend on ticks (T3)");
        }
        prop_assert_eq!(lane.core.merger().size(), (0, 0), "D6: a finished lane holds nothing");
    }

    /// R3, Values: a restart after any tick leaves the last rows as they are.
    #[test]
    fn r3_values_whatever_the_restarts(log in logs(40, false), a in cuts(), stops in prop::collection::vec(any::<bool>(), 1..20)) {
        let whole = values_of(&log, &ticks(&log, &a)).0;
        let mut lane = Lane::new(SETUP.clone());
        let mut values = Values::default();
        for (tick, stop) in ticks(&log, &a).iter().zip(stops.iter().cycle()) {
            values.add(&SETUP, &feed(&mut lane, &log, tick).rows);
            if *stop {
                lane = restored(&lane);
            }
        }
        prop_assert_eq!(whole, values);
    }

    /// R3, History: the same input and the same ticks give the same bytes, with the state taken through JSON after any tick.
    #[test]
    fn r3_history_whatever_the_restarts(log in logs(40, true), a in cuts(), stops in prop::collection::vec(any::<bool>(), 1..20)) {
        check_history(&SETUP, &log, &ticks(&log, &a), &stops)?;
    }

    /// Cutting only where input or a deadline falls gives the History of a dense grid: no deadline is missed, and an empty tick below the
    /// next deadline changes nothing.
    #[test]
    fn r3_only_input_and_deadlines_need_ticks(log in logs(25, false)) {
        check_deadlines(&SETUP, &log)?;
    }

    /// An empty tick below `next_deadline` changes nothing, at any instant.
    #[test]
    fn r3_an_empty_tick_changes_nothing(log in logs(40, true), a in cuts(), share in 0u8..=255) {
        let mut lane = Lane::new(SETUP.clone());
        for tick in ticks(&log, &a) {
            if tick.partitions.iter().any(|p| p.finished) {
                break;
            }
            feed(&mut lane, &log, &tick);
            let Some(now) = lane.core.time() else { continue };
            let room = lane.next_deadline().map_or(Span::hours(1), |d| d - now).0 - 1;
            if room < 0 {
                continue;
            }
            // a copy of the lane goes on without input, just short of the deadline
            let mut copy = restored(&lane);
            let time = now + Span((room as i128 * i128::from(share) / 255) as i64);
            let empty = Tick { number: tick.number + 1, time, ..tick.clone() };
            let effects = feed(&mut copy, &log, &empty);
            prop_assert!(effects.rows.is_empty() && effects.changes.is_empty(), "at {} of {:?}: {:?}", time, lane.next_deadline(), effects);
        }
    }
}

proptest! {
    #![proptest_config(cases(16))]

    /// R3 over files: `--threads` never changes a byte, and Values are those of any other cut.
    #[test]
    fn r3_threads_change_nothing(log in logs(40, false), a in cuts()) {
        let folder = tempfile::tempdir().unwrap();
        let paths: Vec<_> = log.iter().enumerate().map(|(p, records)| {
            let path = folder.path().join(format!("{p}.ndjson"));
            let lines: Vec<&[u8]> = records.iter().map(|r| r.body.as_slice()).collect();
            std::fs::write(&path, lines.join(&b'\n')).unwrap();
            path
        }).collect();
        let run = |threads| {
            let readers = paths.iter().map(|p| FileReader::open(p, None).unwrap()).collect();
            let mut sink = Collected::default();
            ioc::file_run::run(&SETUP, readers, threads, &mut sink).unwrap();
            sink
        };
        let one = run(1);
        prop_assert_eq!(&one.history, &run(2).history);
        prop_assert_eq!(&one.history, &run(4).history);
        let mut values = Values::default();
        values.add(&SETUP, &one.rows);
        prop_assert_eq!(values, values_of(&log, &ticks(&log, &a)).0);
    }
}

/// Records are judged alike one by one or many at a time.
#[test]
fn t3_batches_do_not_matter() {
    let mut lane = Lane::new(SETUP.clone());
    lane.begin(T0, 1);
    let kept = crate::support::feed::Kept { broker_time: None, body: b"{}".to_vec() };
    assert!(lane.take(0, record(&kept, 0), Timestamp::MAX).is_ok());
    assert_eq!(lane.collectors[0].counts(0).rejected_total(), 1);
}
