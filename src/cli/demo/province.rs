//! The simulated province beside the recorded hour: two hours of sensors and fourteen days of cases behind now, then real time.
//!
//! Owns: which faults stand where around now, and what the page says of them. Refuses to know: windows, rules; it only appends to the log.
//!
//! Invariants
//! 1. What arrived before now is written with its own broker times; what comes after is the same stream going on, none twice, none left out.
//! 2. The faults lie around the start: a flood stands, a block ends, a block begins, a gateway dies after a minute.
//!
//! Called by: cli::demo.

use crate::app::Doors;
use crate::driver::wall_clock;
use crate::ingest::log::{Log, NewRecord};
use crate::registry::Registry;
use crate::server::wire::{DemoStep, Text};
use crate::simulate::{Arrival, FaultKind, Province, Stream};
use crate::time::{Span, Timestamp};
use anyhow::Context;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The demo's province is always the same.
const SEED: u64 = 20_260_701;
/// History of sensors, and of cases.
pub const SENSORS: Span = Span::hours(2);
const CASES: Span = Span::days(14);
/// Offices send what they have so often, as far as it is history: fewer ticks to catch up with.
const OFFICES: Span = Span::minutes(5);
/// Records of one append.
const BATCH: usize = 5_000;
/// Live events are gathered so long.
const GATHER: Duration = Duration::from_millis(50);

pub struct Play {
    province: Province,
    /// When the demo began: history lies before.
    began: Timestamp,
}

impl Play {
    pub fn new(registry: &Path, began: Timestamp) -> anyhow::Result<Play> {
        let files = crate::registry::read_dir(registry).with_context(|| format!("cannot read {}", registry.display()))?;
        let registry =
            Registry::parse(&files).map_err(|errors| anyhow::anyhow!("{}", errors.first().map(ToString::to_string).unwrap_or_default()))?;
        let minutes = |n: i64| began + Span::minutes(n);
        let jam = fires_at(began);
        let faults = vec![
            // over the third alarm level, and its rain is over
            (FaultKind::Flood, minutes(-240), Some(Span::hours(8))),
            // just over: what is left of its alerts resolves in the next two minutes
            (FaultKind::Block, minutes(-27), Some(Span::minutes(25))),
            // nothing has passed its loops since two minutes before `jam`: pending until then; its queue is long enough a minute later
            (FaultKind::Block, jam - Span::seconds(250), Some(Span::minutes(30))),
            (FaultKind::Gateway, minutes(1), Some(Span::minutes(45))),
            (FaultKind::Cluster, minutes(4), Some(Span::minutes(14))),
            (FaultKind::Clock, minutes(-30), Some(Span::hours(3))),
        ];
        // the recorded hour speaks for the registry's other detectors
        Ok(Play { province: Province::new(SEED, &registry, false)?.with_faults(faults).with_punctual_offices(), began })
    }

    /// Everything before now, into the log, `recorded` among it in the order of broker times; `told` hears how much is written.
    pub fn write_history(&self, log: &Log, mut recorded: Vec<NewRecord>, told: &mut dyn FnMut(f64)) -> anyhow::Result<()> {
        let middle = self.began - SENSORS;
        recorded.extend(falls_due(self.began));
        recorded.sort_by_key(|r| r.broker_time);
        let cases = self.province.cases(middle - CASES, middle)?;
        append_all(log, cases, Vec::new(), (middle - CASES, CASES), Some(OFFICES), &mut |share| told(share * 0.2))?;
        append_all(log, self.province.events(middle, self.began)?, recorded, (middle, SENSORS), None, &mut |share| told(0.2 + share * 0.8))
    }

    /// What arrives from now on, when it is due; returns when `stop` is set.
    pub fn run(&self, doors: &Doors, stop: &AtomicBool, runtime: &tokio::runtime::Handle) -> anyhow::Result<()> {
        let mut stream = self.province.events(self.began, Timestamp::MAX)?;
        let mut next = Arrival::default();
        let mut batch: Vec<NewRecord> = Vec::new();
        while !stop.load(Ordering::Relaxed) && stream.next(&mut next)? {
            while next.at > wall_clock() {
                append(doors, std::mem::take(&mut batch), runtime)?;
                std::thread::sleep(GATHER);
                if stop.load(Ordering::Relaxed) {
                    return Ok(());
                }
            }
            batch.push(record(&next));
            if batch.len() >= BATCH {
                append(doors, std::mem::take(&mut batch), runtime)?;
            }
        }
        Ok(())
    }
}

/// The first minute at which a pending alert of the traffic pipelines, whose rows are whole minutes, can fire before somebody's eyes: the
/// page shows the province half a minute after the start.
fn fires_at(began: Timestamp) -> Timestamp {
    let minute = Span::minutes(1).0;
    Timestamp((began + Span::seconds(25)).0.div_euclid(minute) * minute + minute)
}

fn record(arrival: &Arrival) -> NewRecord {
    NewRecord { key: Some(arrival.key.clone().into_bytes().into()), value: arrival.bytes.clone().into(), ..NewRecord::default() }
}

/// The stream and `others`, both in the order of their broker times, as one. `grid`: the stream is sent so often.
fn append_all(
    log: &Log,
    mut stream: Stream<'_>,
    others: Vec<NewRecord>,
    (from, length): (Timestamp, Span),
    grid: Option<Span>,
    told: &mut dyn FnMut(f64),
) -> anyhow::Result<()> {
    let mut others = others.into_iter().peekable();
    let mut next = Arrival::default();
    let mut batch = Vec::with_capacity(BATCH);
    while stream.next(&mut next)? {
        while let Some(other) = others.next_if(|o| o.broker_time <= Some(next.at)) {
            batch.push(other);
        }
        let sent = grid.map_or(next.at, |every| Timestamp((next.at.0 + every.0 - 1).div_euclid(every.0) * every.0).min(from + length));
        batch.push(NewRecord { broker_time: Some(sent), ..record(&next) });
        if batch.len() >= BATCH {
            log.append_blocking(std::mem::take(&mut batch))?;
            told((next.at - from).0 as f64 / length.0 as f64);
        }
    }
    batch.extend(others);
    log.append_blocking(batch)?;
    Ok(())
}

/// A field report whose time is up ninety seconds after the start, at any hour: its events say when it is due.
fn falls_due(began: Timestamp) -> impl Iterator<Item = NewRecord> {
    let (created, due) = (began - Span::minutes(50), began + Span::seconds(90));
    let subject = format!("PA-{}", began.0 / crate::time::NANOS_PER_SECOND);
    [("created", created), ("assigned", began - Span::minutes(40))].into_iter().enumerate().map(move |(n, (state, at))| {
        let data = serde_json::json!({
            "lon": 108.435978, "lat": 11.963852, "state": state, "category": "environment", "channel": "app",
            "title": "Rác thải chưa được thu gom", "created_at": created.to_string(), "due_at": due.to_string(),
        });
        let event = serde_json::json!({
            "specversion": "1.0", "id": format!("{subject}-{n}"), "source": "phan-anh", "type": "field_report.status", "subject": subject,
            "time": at.to_string(), "data": data,
        });
        NewRecord {
            key: Some(subject.clone().into_bytes().into()),
            value: event.to_string().into_bytes().into(),
            broker_time: Some(at + Span::seconds(1)),
            ..NewRecord::default()
        }
    })
}

/// What happens when, for the page.
pub fn steps(began: Timestamp) -> Vec<DemoStep> {
    let step = |seconds: i64, vi: &str, en: &str| DemoStep {
        at: (began + Span::seconds(seconds)).millis(),
        title: Text { vi: vi.to_owned(), en: en.to_owned() },
    };
    let jam = (fires_at(began) - began).0 / crate::time::NANOS_PER_SECOND + 6;
    let mut steps = vec![
        step(0, "Lũ trên báo động 3 tại một trạm thủy văn", "A river stands above its third alarm level"),
        step(20, "Số liệu được tính lại khi bản tin đến muộn", "Figures are revised as late readings come in"),
        step(60, "Một cổng kết nối ngừng hoạt động, 30 nguồn im lặng", "A gateway dies: thirty sources fall silent"),
        step(jam, "Dòng xe đứng đã đủ lâu: cảnh báo đang chờ sẽ phát", "Traffic has stood long enough: its pending alert fires"),
        step(90, "Một phản ánh hiện trường quá hạn", "A field report falls due"),
        step(110, "Đường thông lại: các cảnh báo ở đó kết thúc", "A road is free again: its alerts resolve"),
        step(170, "Ùn tắc tại Gia Nghĩa (dữ liệu đã ghi)", "The recorded jam in Gia Nghĩa"),
        step(1_080, "Nhiều người dân cùng phản ánh tại một phường", "Many citizens report the same in one ward"),
    ];
    steps.sort_by_key(|step| step.at);
    steps
}

fn append(doors: &Doors, records: Vec<NewRecord>, runtime: &tokio::runtime::Handle) -> anyhow::Result<()> {
    if records.is_empty() {
        return Ok(());
    }
    match doors {
        Doors::Embedded(log) => {
            log.append_blocking(records)?;
        }
        Doors::Kafka(door, topic) => {
            for record in records {
                let sent = door.append(topic, record.key.as_deref(), &[], &record.value, None);
                runtime.spawn(async move {
                    if let Err(error) = sent.await {
                        tracing::error!(%error, "the demo's event was not appended");
                    }
                });
            }
        }
    }
    Ok(())
}

/// On a thread of its own: it waits for the clock.
pub fn spawn(play: Arc<Play>, doors: Doors, stop: Arc<AtomicBool>) {
    let runtime = tokio::runtime::Handle::current();
    tokio::task::spawn_blocking(move || {
        if let Err(error) = play.run(&doors, &stop, &runtime) {
            tracing::error!("the simulated province stops: {error:#}");
        }
    });
}
