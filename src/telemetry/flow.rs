//! How pipelines flow: what each partition does for each pipeline, and how fast.
//!
//! Owns: [`FlowMeter`]: counts of the last minute, for rates. Refuses to know: who looks at it.
//!
//! Invariants
//! 1. A report costs O(pipelines × (partitions + windows)), never O(open windows) or O(sources).
//! 2. Counts are the engine's own (T0); a rate is the difference of two of them.
//!
//! Called by: telemetry (the driver's report, once a second).

use crate::engine::Tick;
use crate::engine::holding::PipeStand;
use crate::engine::lane::Lane;
use crate::ingest::PartitionName;
use crate::server::pipelines::{Flow, PartitionFlow, PipelineFlow};
use crate::server::wire::Rates;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Rates are over this time.
const OVER: Duration = Duration::from_secs(60);
/// Between two samples.
const EVERY: Duration = Duration::from_secs(5);

#[derive(Debug, Default)]
pub struct FlowMeter {
    /// Oldest first: the newest that is [`OVER`] old or more, and all younger ones.
    samples: VecDeque<Sample>,
}

/// By pipeline and partition.
#[derive(Debug)]
struct Sample {
    at: Instant,
    counts: Vec<Vec<Counted>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counted {
    accepted: u64,
    late: u64,
    duplicate: u64,
    rejected: u64,
    unwanted: u64,
}

impl FlowMeter {
    /// `behind`: records in the log that were not taken yet, by partition.
    pub fn flow(&mut self, now: Instant, lane: &Lane, tick: &Tick, names: &[PartitionName], behind: &[u64]) -> Flow {
        let counts: Vec<Vec<Counted>> = (0..lane.setup.pipelines.len()).map(|p| counted(lane, p)).collect();
        while self.samples.get(1).is_some_and(|second| now.duration_since(second.at) >= OVER) {
            self.samples.pop_front();
        }
        let since = self.samples.front();
        let over = since.map_or(Duration::ZERO, |s| now.duration_since(s.at));
        let flow_of = |p: usize| {
            let before = since.and_then(|s| s.counts.get(p)).map_or(&[][..], Vec::as_slice);
            let differences: Vec<Counted> = counts[p].iter().enumerate().map(|(i, now)| now.since(before.get(i))).collect();
            let accepted = differences.iter().map(|d| per_second(d.accepted, over)).collect();
            PipelineFlow { stand: PipeStand::of(lane, p), rates: rates(&differences, over), accepted }
        };
        let pipelines = (0..counts.len()).map(flow_of).collect();
        let place = |((name, collector), behind): ((&PartitionName, &crate::engine::collect::Collector), &u64)| PartitionFlow {
            topic: name.topic.clone(),
            number: name.number,
            next_offset: collector.next_offset(),
            behind: *behind,
        };
        let partitions = names.iter().zip(&lane.collectors).zip(behind).map(place).collect();
        if self.samples.back().is_none_or(|last| now.duration_since(last.at) >= EVERY) {
            self.samples.push_back(Sample { at: now, counts });
        }
        Flow { time: tick.time, live: tick.live, partitions, pipelines }
    }
}

fn counted(lane: &Lane, pipeline: usize) -> Vec<Counted> {
    let of = |collector: &crate::engine::collect::Collector| {
        let counts = collector.counts(pipeline);
        Counted {
            accepted: counts.accepted,
            late: counts.late,
            duplicate: counts.duplicate,
            rejected: counts.rejected_total(),
            unwanted: counts.unwanted,
        }
    };
    lane.collectors.iter().map(of).collect()
}

impl Counted {
    /// Counts never fall; a partition that was not there before began with nothing.
    fn since(&self, before: Option<&Counted>) -> Counted {
        let before = before.copied().unwrap_or_default();
        Counted {
            accepted: self.accepted.saturating_sub(before.accepted),
            late: self.late.saturating_sub(before.late),
            duplicate: self.duplicate.saturating_sub(before.duplicate),
            rejected: self.rejected.saturating_sub(before.rejected),
            unwanted: self.unwanted.saturating_sub(before.unwanted),
        }
    }
}

fn per_second(records: u64, over: Duration) -> f64 {
    let seconds = over.as_secs_f64();
    if seconds > 0.0 { records as f64 / seconds } else { 0.0 }
}

fn rates(partitions: &[Counted], over: Duration) -> Rates {
    let sum = |of: fn(&Counted) -> u64| partitions.iter().map(of).sum::<u64>();
    let rate = |of: fn(&Counted) -> u64| per_second(sum(of), over);
    let all = |c: &Counted| c.accepted + c.late + c.duplicate + c.rejected + c.unwanted;
    Rates {
        over_ms: i64::try_from(over.as_millis()).unwrap_or(i64::MAX),
        read: rate(all),
        accepted: rate(|c| c.accepted),
        late: rate(|c| c.late),
        duplicate: rate(|c| c.duplicate),
        rejected: rate(|c| c.rejected),
        unwanted: rate(|c| c.unwanted),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definitions::Definitions;
    use crate::engine::collect::{Body, Record};
    use crate::time::Timestamp;
    use std::sync::Arc;

    const PIPELINE: &str = "pipeline: p\nsector: s\nfrom: [t.a]\nout_of_orderness: 5s\nlateness: 1m\nwindows:\n  - {measurement: m, every: 1m, by: [source], fields: {n: count()}}\n";

    #[test]
    fn rates_are_over_the_last_minute() {
        let files = [("pipelines/p.yaml".to_owned(), PIPELINE.to_owned())].into_iter().collect();
        let mut lane = Lane::new(Arc::new(Definitions { files }.compile(None).unwrap()));
        lane.ensure_partitions(2);
        let names = [0, 1].map(|number| PartitionName { topic: "t".into(), number });
        let (mut meter, start, mut offset) = (FlowMeter::default(), Instant::now(), 0);
        let mut after = |lane: &mut Lane, second: u64, records: u64| {
            for _ in 0..records {
                let time = Timestamp::from_seconds(1_780_000_000);
                let event = format!(r#"{{"specversion":"1.0","id":"{offset}","source":"s","type":"t.a","time":"{time}","data":{{}}}}"#);
                lane.take(1, Record { offset, broker_time: None, body: Body::Structured(event.as_bytes()) }, Timestamp::MAX).unwrap();
                offset += 1;
            }
            meter.flow(start + Duration::from_secs(second), lane, &Tick::default(), &names, &[0, 7])
        };
        let first = after(&mut lane, 0, 5);
        assert_eq!(first.pipelines[0].rates, Rates::default(), "what was there before is no rate");
        let flow = after(&mut lane, 10, 20);
        assert_eq!((flow.pipelines[0].rates.over_ms, flow.pipelines[0].rates.accepted), (10_000, 2.0));
        assert_eq!((flow.pipelines[0].rates.read, flow.pipelines[0].accepted.as_slice()), (2.0, &[0.0, 2.0][..]));
        assert_eq!((flow.partitions[1].number, flow.partitions[1].next_offset, flow.partitions[1].behind), (1, 25, 7));
        for second in 11..=69 {
            after(&mut lane, second, 0);
        }
        let flow = after(&mut lane, 70, 60);
        assert_eq!((flow.pipelines[0].rates.over_ms, flow.pipelines[0].rates.accepted), (60_000, 1.0), "the first ten seconds are gone");
    }
}
