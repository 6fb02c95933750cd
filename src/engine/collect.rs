//! One partition: records in, verdicts (T0), watermark (T2), duplicates (R4), windows; partials out at each tick.
//!
//! Owns: [`Collector`] and, per pipeline, its [`Part`]. Refuses to know: other partitions (T3), the merger, the clock.
//!
//! Invariants
//! 1. Every record gets exactly one verdict per pipeline, in T0's order; `read` is the sum of the five.
//! 2. An event is judged against the watermark before it; only accepted events move anything.
//! 3. Whether an event counts depends on this partition's records alone.
//!
//! Called by: lane (every driver goes through it).

mod add;
mod cases;
mod due;

pub use cases::CaseEvent;

use super::absence::LastHeard;
use super::completeness::reach;
use super::counts::{PartCounts, Verdict};
use super::dedup::{Known, Mark, Seen};
use super::keys::{LocalKeys, Texts};
use super::setup::Setup;
use super::sources::ClockOffset;
use super::window::{Around, Batch, OpenWindow};
use super::{Key, PartitionTick};
use crate::event::decode::{Decoder, judge_time};
use crate::event::{Event, Rejected, Scalar};
use crate::geo::AreaId;
use crate::pipeline::expr::{Inputs, Program, Value};
use crate::pipeline::{Pipeline, TypePlan, WindowSpec};
use crate::time::{Span, Timestamp};
use cases::WantingCases;
use due::Due;
use smallvec::SmallVec;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A record as the log gives it.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    pub offset: u64,
    /// `None`: recorded input; `max_ahead`, `max_behind`, `max_delay` do not apply.
    pub broker_time: Option<Timestamp>,
    pub body: Body<'a>,
}

#[derive(Clone, Copy, Debug)]
pub enum Body<'a> {
    /// CloudEvents JSON.
    Structured(&'a [u8]),
    /// CloudEvents binary mode: attributes in headers (`ce_…`), data in the value.
    Binary { headers: &'a [(String, Vec<u8>)], value: &'a [u8] },
}

impl Body<'_> {
    /// The bytes to keep when the record is refused.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Body::Structured(bytes) => bytes,
            Body::Binary { value, .. } => value,
        }
    }

    /// The headers to keep with them: without its attributes a binary record could not be judged again.
    fn headers(&self) -> Vec<(String, Vec<u8>)> {
        match self {
            Body::Structured(_) => Vec::new(),
            Body::Binary { headers, .. } => headers.to_vec(),
        }
    }
}

/// At most this many keys of one measurement on one partition; events of further keys count as *no key* (D6).
pub const MAX_KEYS: usize = 1_000_000;

/// What one partition sends at a tick.
#[derive(Debug, Default)]
pub struct PartitionOutput {
    /// By pipeline.
    pub parts: Vec<PartOutput>,
    pub late: Vec<Late>,
    pub rejected: Vec<Refused>,
}

#[derive(Debug, Default)]
pub struct PartOutput {
    pub watermark: Option<Timestamp>,
    pub idle: bool,
    /// (window, number, key) in the order of their numbers.
    pub new_keys: Vec<(u16, u32, Arc<Key>)>,
    pub batches: Vec<Batch>,
    /// Registered sources heard: (window, window end, source).
    pub heard: Vec<(u16, Timestamp, Box<str>)>,
    /// In the order of their offsets.
    pub cases: Vec<CaseEvent>,
    /// For rules on absent sources: who has been heard since the last tick.
    pub last_heard: Vec<LastHeard>,
}

/// A late event, kept and counted (T4).
#[derive(Clone, Debug, PartialEq)]
pub struct Late {
    pub pipeline: u16,
    pub offset: u64,
    pub kind: String,
    pub source: String,
    pub id: String,
    pub time: Timestamp,
    /// Watermark minus event time.
    pub delay: Span,
    pub broker_time: Option<Timestamp>,
    pub raw: Vec<u8>,
    /// Of a record in binary mode; else empty.
    pub headers: Vec<(String, Vec<u8>)>,
}

/// A refused record with its bytes (D5).
#[derive(Clone, Debug, PartialEq)]
pub struct Refused {
    pub offset: u64,
    pub broker_time: Option<Timestamp>,
    pub rejected: Rejected,
    pub raw: Vec<u8>,
    /// Of a record in binary mode; else empty.
    pub headers: Vec<(String, Vec<u8>)>,
}

/// State of one partition.
pub struct Collector {
    pub(super) partition: u32,
    decoder: Decoder,
    pub(super) sources: Texts,
    /// By source number: how its clock goes.
    pub(super) offsets: Vec<Option<ClockOffset>>,
    pub(super) parts: Vec<Part>,
    /// Next record to take.
    pub(super) next_offset: u64,
    /// Running maximum of broker_time, else of event time.
    pub(super) clock: Option<Timestamp>,
    /// Tick time that passed while the partition could be read.
    pub(super) readable: Span,
    pub(super) tick_time: Option<Timestamp>,
    /// Time of the tick that is being filled.
    now: Timestamp,
    late: Vec<Late>,
    rejected: Vec<Refused>,
    key_scratch: Vec<u8>,
}

/// One pipeline's state on one partition.
pub struct Part {
    /// Highest `min(event_time, broker_time)` accepted − `out_of_orderness`.
    pub(super) watermark: Option<Timestamp>,
    /// `Collector::readable` at the clock of the record last accepted.
    pub(super) accepted_at: Span,
    /// Number of the source accepted last.
    pub(super) last_source: Option<u32>,
    /// Windows that end at or before it were forgotten at the last tick.
    pub(super) gone: Timestamp,
    /// Windows that end at or before it are late: they were forgotten under a shorter `lateness` or `max_delay` (D2).
    pub(super) closed_until: Timestamp,
    /// Events before it are late: their ids were forgotten under a shorter `dedup` (D2).
    pub(super) known_from: Timestamp,
    pub(super) seen: Seen,
    pub(super) texts: Texts,
    pub(super) windows: Vec<PartWindow>,
    pub(super) counts: PartCounts,
    /// Heard since the last tick: (window, window end, source).
    pub(super) heard: Vec<(u16, Timestamp, Box<str>)>,
    /// For cases, since the last tick.
    pub(super) cases: Vec<CaseEvent>,
    /// By absence: heard since the last tick, (source number, newest time).
    pub(super) present: Vec<BTreeMap<u32, Timestamp>>,
}

pub struct PartWindow {
    pub(super) keys: LocalKeys,
    /// Keys below this number are known to the merger.
    pub(super) announced: usize,
    /// By start.
    pub(super) open: Vec<OpenWindow>,
    /// By window end: numbers of the registered sources heard.
    pub(super) heard: BTreeMap<Timestamp, BTreeSet<u32>>,
    spare: Vec<OpenWindow>,
    /// The partition's clock when this definition came into force: what ended by then is the former definition's, and late here (D2).
    pub(super) born: Timestamp,
    around: Around,
}

impl PartWindow {
    pub(super) fn new(spec: &WindowSpec) -> PartWindow {
        PartWindow {
            keys: LocalKeys::new(spec.tags.len()),
            announced: 0,
            open: Vec::new(),
            heard: BTreeMap::new(),
            spare: Vec::new(),
            born: Timestamp::MIN,
            around: Around::default(),
        }
    }

    /// The windows that hold `time`, oldest first; mostly those that held the event before.
    #[inline]
    fn bounds(&mut self, spec: &WindowSpec, time: Timestamp) -> &[(Timestamp, Timestamp)] {
        self.around.at(&spec.alignment, time)
    }

    /// The place in `open` of the window that begins at `start`, opened if it is not there.
    fn place(&mut self, spec: &WindowSpec, start: Timestamp, end: Timestamp) -> usize {
        if let Some(newest) = self.open.last()
            && newest.start == start
        {
            return self.open.len() - 1;
        }
        let place = match self.open.binary_search_by_key(&start, |o| o.start) {
            Ok(place) => return place,
            Err(place) => place,
        };
        let fresh = match self.spare.pop() {
            Some(used) => used.reuse(start, end),
            None => OpenWindow::new(spec, start, end),
        };
        self.open.insert(place, fresh);
        place
    }
}

impl Part {
    pub(super) fn new(pipeline: &Pipeline) -> Part {
        Part {
            watermark: None,
            accepted_at: Span::ZERO,
            last_source: None,
            gone: Timestamp::MIN,
            closed_until: Timestamp::MIN,
            known_from: Timestamp::MIN,
            seen: Seen::new(pipeline.timing.dedup),
            texts: Texts::default(),
            windows: pipeline.windows.iter().map(PartWindow::new).collect(),
            counts: PartCounts::new(pipeline.windows.len()),
            heard: Vec::new(),
            cases: Vec::new(),
            present: vec![BTreeMap::new(); pipeline.absences.len()],
        }
    }
}

struct Slots<'a>(&'a [Scalar<'a>]);

impl Inputs for Slots<'_> {
    #[inline]
    fn get(&self, slot: usize) -> Value<'_> {
        match self.0[slot] {
            Scalar::Absent => Value::Unknown,
            Scalar::Bool(b) => Value::Bool(b),
            Scalar::Num(n) => Value::Num(n),
            Scalar::Text(t) => Value::Text(Cow::Borrowed(t)),
        }
    }
}

fn wants(filter: &Option<Program>, slots: &Slots<'_>) -> bool {
    filter.as_ref().is_none_or(|f| f.holds(slots))
}

impl Collector {
    pub fn new(setup: &Setup, partition: u32) -> Collector {
        Collector {
            partition,
            decoder: Decoder::new(setup.plan.clone()),
            sources: Texts::default(),
            offsets: Vec::new(),
            parts: setup.pipelines.iter().map(Part::new).collect(),
            next_offset: 0,
            clock: None,
            readable: Span::ZERO,
            tick_time: None,
            now: Timestamp::MIN,
            late: Vec::new(),
            rejected: Vec::new(),
            key_scratch: Vec::new(),
        }
    }

    /// Running maximum of broker_time, else of event time.
    pub fn clock(&self) -> Option<Timestamp> {
        self.clock
    }

    pub fn next_offset(&self) -> u64 {
        self.next_offset
    }

    pub fn counts(&self, pipeline: usize) -> &PartCounts {
        &self.parts[pipeline].counts
    }

    /// Sources that were named so far.
    pub fn source_count(&self) -> usize {
        self.sources.len()
    }

    /// What was refused since the last tick was closed.
    pub fn rejected(&self) -> &[Refused] {
        &self.rejected
    }

    pub fn source_name(&self, source: u32) -> &str {
        self.sources.text(source)
    }

    /// The records that follow belong to the tick of this time.
    pub fn begin_tick(&mut self, time: Timestamp) {
        self.now = time;
    }

    /// Takes a record if the partition's clock with it does not pass `until`; says whether it did.
    ///
    /// The clock is broker_time's running maximum, or event time's where there is no broker_time. `until` is only for recorded
    /// input, which is cut on its own clock; live lanes bound records by offset and pass `Timestamp::MAX`.
    pub fn take(&mut self, setup: &Setup, record: Record<'_>, until: Timestamp) -> Result<(), Timestamp> {
        let Collector {
            decoder,
            sources,
            offsets,
            parts,
            clock,
            readable,
            tick_time,
            late,
            rejected,
            key_scratch,
            partition,
            next_offset,
            now: tick,
            ..
        } = self;
        let decoded = match record.body {
            Body::Structured(bytes) => decoder.decode(bytes),
            Body::Binary { headers, value } => decoder.decode_binary(headers.iter().map(|(k, v)| (k.as_str(), v.as_slice())), value),
        };
        let own = record.broker_time.or(decoded.as_ref().ok().map(|e| e.time));
        let now = (*clock).max(own);
        if let Some(now) = now
            && now > until
        {
            return Err(now);
        }
        *clock = now;
        *next_offset = record.offset + 1;
        // broker_time is the partition's running maximum: a broker's clock that was set back takes nothing back
        let record = Record { broker_time: record.broker_time.and(now), ..record };
        let judged = decoded.and_then(|event| {
            let source = sources.intern(event.source);
            if let Some(broker_time) = record.broker_time {
                ClockOffset::note(offsets, source, event.time, broker_time);
            }
            let ahead_or_behind = judge_time(event.time, record.broker_time, setup.max_ahead, setup.max_behind);
            ahead_or_behind.map_or(Ok((event, source)), |r| Err(Box::new(Rejected { source: Some(event.source.to_owned()), ..r })))
        });
        let (event, source) = match judged {
            Ok(judged) => judged,
            Err(reason) => {
                let source = reason.source.as_deref().map(|s| sources.intern(s));
                for part in parts.iter_mut() {
                    part.counts.reject(&reason, source);
                }
                let (raw, headers) = (record.body.bytes().to_vec(), record.body.headers());
                rejected.push(Refused { offset: record.offset, broker_time: record.broker_time, rejected: *reason, raw, headers });
                return Ok(());
            }
        };
        // the record's own clock within the tick: however far apart ticks lie, idleness begins there
        let before = tick_time.unwrap_or(*tick);
        let accepted_at = *readable + (now.unwrap_or(before).min(*tick) - before).max(Span::ZERO);
        let mut taking = Taking { setup, event: &event, record: &record, source, partition: *partition, area: None, late, key_scratch };
        let mut wanting = setup.wanting(event.kind).iter().peekable();
        for (index, part) in parts.iter_mut().enumerate() {
            let verdict = match wanting.next_if(|w| w.pipeline == index) {
                Some(w) => taking.judge(index, &setup.pipelines[index].types[w.plan], part),
                None => Verdict::Unwanted,
            };
            if verdict == Verdict::Accepted {
                part.accepted_at = accepted_at;
                part.last_source = Some(source);
            }
            part.counts.count(verdict, source, event.invalid_fields);
        }
        Ok(())
    }

    /// Sends what is due at this tick and forgets what is over.
    pub fn close_tick(&mut self, setup: &Setup, time: Timestamp, at: &PartitionTick, retire: &[(u16, u16)]) -> PartitionOutput {
        let before = self.tick_time.unwrap_or(time);
        if !at.unreadable {
            self.readable = self.readable + (time - before);
        }
        self.tick_time = Some(time);
        let readable = self.readable;
        // time in which it could not be read is not there to be idle in
        self.parts.iter_mut().for_each(|part| part.accepted_at = part.accepted_at.min(readable));
        let due = Due { time, at, end_offset: self.next_offset, readable: self.readable };
        let parts = self.parts.iter_mut().zip(&setup.pipelines).enumerate();
        let retired = |index: usize| move |w: u16| retire.contains(&(index as u16, w));
        let sources = &self.sources;
        let parts = parts.map(|(index, (part, pipeline))| {
            let last_heard = part.take_present(sources);
            PartOutput { last_heard, ..part.close_tick(pipeline, &due, retired(index)) }
        });
        let parts = parts.collect();
        PartitionOutput { parts, late: std::mem::take(&mut self.late), rejected: std::mem::take(&mut self.rejected) }
    }

    /// The earliest tick time, after the last one, at which `close_tick` without new records would send or change something.
    pub fn next_deadline(&self, setup: &Setup) -> Option<Timestamp> {
        let now = self.tick_time?;
        let parts = self.parts.iter().zip(&setup.pipelines);
        parts.filter_map(|(part, pipeline)| part.next_deadline(pipeline, now, self.readable)).min()
    }
}

/// A window that an event lies in.
struct Wanted {
    /// Index of the measurement.
    window: usize,
    start: Timestamp,
    end: Timestamp,
    refused: bool,
}

/// One event on its way through the pipelines.
struct Taking<'a, 'e> {
    setup: &'a Setup,
    event: &'a Event<'e>,
    record: &'a Record<'a>,
    source: u32,
    partition: u32,
    /// Located at the first pipeline that asks.
    area: Option<Option<AreaId>>,
    late: &'a mut Vec<Late>,
    key_scratch: &'a mut Vec<u8>,
}

impl Taking<'_, '_> {
    fn judge(&mut self, index: usize, plan: &TypePlan, part: &mut Part) -> Verdict {
        let pipeline = &self.setup.pipelines[index];
        let timing = &pipeline.timing;
        let slots = Slots(self.event.slots);
        if !wants(&plan.filter, &slots) {
            return Verdict::Unwanted;
        }
        let time = self.event.time;
        let watermark = part.watermark.unwrap_or(Timestamp::MIN);
        let too_old = time < (watermark - timing.dedup).max(part.known_from);
        let mut wanted: SmallVec<[Wanted; 4]> = SmallVec::new();
        for (w, (spec, input)) in pipeline.windows.iter().zip(&plan.windows).enumerate() {
            let Some(input) = input else { continue };
            if !wants(&input.filter, &slots) {
                continue;
            }
            let closed = part.windows[w].born.max(part.closed_until);
            for (start, end) in part.windows[w].bounds(spec, time) {
                let delayed = self.record.broker_time.is_some_and(|b| b >= *end + timing.max_delay);
                let refused = too_old || delayed || *end <= closed || watermark >= *end + timing.lateness;
                wanted.push(Wanted { window: w, start: *start, end: *end, refused });
            }
        }
        let cases = if plan.cases.is_empty() { WantingCases::new() } else { self.wanting_cases(plan) };
        if wanted.is_empty() && cases.is_empty() {
            return Verdict::Unwanted;
        }
        // wanted by a case alone: late is what can no longer be told from a copy (R4)
        if (too_old || !wanted.is_empty()) && wanted.iter().all(|w| w.refused) {
            self.hand_on(part, plan, pipeline, &cases, watermark);
            part.counts.delay(self.source, watermark - time);
            self.keep_late(index, watermark);
            return Verdict::Late;
        }
        let mark = Mark::of(self.event.source, self.event.id, self.event.data, self.key_scratch);
        match part.seen.ask(mark, watermark) {
            Known::Same => return Verdict::Duplicate,
            Known::Conflict => {
                part.counts.conflict(self.source);
                return Verdict::Duplicate;
            }
            Known::New => part.seen.remember(mark, time),
        }
        self.hand_on(part, plan, pipeline, &cases, watermark);
        let registered = self.setup.registry.sources.get(self.event.source, time).filter(|s| s.cadence.is_some());
        for of_one in wanted.chunk_by(|a, b| a.window == b.window) {
            let w = of_one[0].window;
            if let Some(source) = registered {
                self.hear(part, w, pipeline, (source, watermark));
            }
            // the windows of a measurement end one after the other: what is refused comes first
            let accepting = &of_one[of_one.partition_point(|w| w.refused)..];
            if accepting.len() < of_one.len() {
                part.counts.partly_late(w);
            }
            if let Some(input) = &plan.windows[w]
                && !accepting.is_empty()
                && !self.add(part, w, &pipeline.windows[w], input, accepting)
            {
                part.counts.no_key(w);
            }
        }
        let heard_at = self.record.broker_time.map_or(time, |b| b.min(time));
        part.watermark = part.watermark.max(Some(heard_at - timing.out_of_orderness));
        part.note_present(&plan.absences, self.source, heard_at);
        part.counts.heard(self.source, time);
        Verdict::Accepted
    }

    /// Notes the source in the windows that its cadence reaches and that can still change.
    fn hear(&self, part: &mut Part, w: usize, pipeline: &Pipeline, (source, watermark): (&crate::registry::Source, Timestamp)) {
        let timing = &pipeline.timing;
        let delayed = |end: Timestamp| self.record.broker_time.is_some_and(|b| b >= end + timing.max_delay);
        for end in reach(&pipeline.windows[w], source, self.event.time).filter(|end| watermark < *end + timing.lateness && !delayed(*end)) {
            if part.windows[w].heard.entry(end).or_default().insert(self.source) {
                part.heard.push((w as u16, end, self.event.source.into()));
            }
        }
    }

    fn keep_late(&mut self, pipeline: usize, watermark: Timestamp) {
        self.late.push(Late {
            pipeline: pipeline as u16,
            offset: self.record.offset,
            kind: self.event.kind_name.to_owned(),
            source: self.event.source.to_owned(),
            id: self.event.id.to_owned(),
            time: self.event.time,
            delay: watermark - self.event.time,
            broker_time: self.record.broker_time,
            raw: self.record.body.bytes().to_vec(),
            headers: self.record.body.headers(),
        });
    }
}
