//! Every counter as a typed value, and how it is shown: Prometheus text for `/metrics`, health for the board.
//!
//! Owns: [`Telemetry`]. Refuses to know: who asks.
//!
//! Invariants
//! 1. Counts of verdicts are the engine's own (T0), copied, never counted a second time.
//! 2. Names follow Prometheus: `ioc_…_total` for counters, base units (seconds, bytes).
//!
//! Called by: driver (writes), server (reads).

mod flow;
mod health;

use crate::engine::Tick;
use crate::engine::counts::{CaseCounts, PartCounts};
use crate::engine::lane::{Effects, Lane};
use crate::engine::sources::{SourceFigures, figures};
use crate::ingest::PartitionName;
use crate::ingest::kafka::KafkaStatistics;
use crate::notify::{ChannelCounters, Outbox};
use crate::server::hub::HubCounters;
use crate::server::pipelines::PipelineShelf;
use crate::server::scope::HealthInput;
use crate::server::wire::{HealthView, LogHealth, StoreHealth};
use crate::store::Store;
use crate::store::influx::WriteFigures;
use crate::store::spool::Spool;
use crate::time::{Span, Timestamp};
use flow::FlowMeter;
use health::SourceHealth;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// The outbox, and what each channel has done, by name.
type Channels = (Arc<Outbox>, Vec<(&'static str, Arc<ChannelCounters>)>);

/// Shared by driver and server.
#[derive(Default)]
pub struct Telemetry {
    latest: Mutex<Latest>,
    rows: AtomicU64,
    revisions: AtomicU64,
    alert_changes: AtomicU64,
    lost: AtomicU64,
    diverged: AtomicU64,
    ready: AtomicBool,
    /// Why the log cannot be read at all.
    log_trouble: Mutex<Option<String>>,
    /// Share of the state that is built after a start, in millionths.
    built: AtomicU64,
    pub gate: Arc<GateCounters>,
    kafka: Mutex<Option<KafkaStatistics>>,
    pub spool: OnceLock<Arc<Spool>>,
    pub store: OnceLock<Arc<Store>>,
    pub hub: OnceLock<crate::server::hub::Hub>,
    pub sources: SourceShelf,
    health: Mutex<SourceHealth>,
    /// Where pipelines as they run are shown.
    pub pipelines: OnceLock<Arc<PipelineShelf>>,
    /// What other programs are told, by channel.
    pub channels: OnceLock<Channels>,
    flow: Mutex<FlowMeter>,
}

/// Figures of all sources: made when somebody asks, at the driver's next report.
#[derive(Debug)]
pub struct SourceShelf {
    wanted: AtomicBool,
    latest: watch::Sender<Arc<SourcesAt>>,
}

/// As of a tick time.
#[derive(Debug, Default)]
pub struct SourcesAt {
    pub time: Timestamp,
    pub figures: BTreeMap<String, SourceFigures>,
}

impl Default for SourceShelf {
    fn default() -> SourceShelf {
        SourceShelf { wanted: AtomicBool::new(false), latest: watch::Sender::new(Arc::default()) }
    }
}

impl SourceShelf {
    fn renew(&self, lane: &Lane, time: Timestamp) {
        if self.wanted.swap(false, Relaxed) {
            self.latest.send_replace(Arc::new(SourcesAt { time, figures: figures(lane) }));
        }
    }

    /// Of the next report; `None` where none comes within `patience`: the driver stands or has not begun.
    pub async fn ask(&self, patience: Duration) -> Option<Arc<SourcesAt>> {
        let mut latest = self.latest.subscribe();
        self.wanted.store(true, Relaxed);
        tokio::time::timeout(patience, latest.changed()).await.ok()?.ok()?;
        Some(latest.borrow().clone())
    }
}

/// What the gate has done.
#[derive(Debug, Default)]
pub struct GateCounters {
    pub commits: AtomicU64,
    pub ticks: AtomicU64,
    pub rows: AtomicU64,
    pub checkpoints: AtomicU64,
    pub checkpoints_postponed: AtomicU64,
    /// How long the engine stood still for the last one.
    pub checkpoint_pause_micros: AtomicU64,
    pub commit_micros: AtomicU64,
}

/// As of the last report of the driver.
#[derive(Clone, Default)]
struct Latest {
    tick: u64,
    tick_time: Timestamp,
    live: bool,
    partitions: Vec<(PartitionName, u64, u64)>,
    unreadable: Vec<bool>,
    pipelines: Vec<(String, PartCounts, Option<Span>)>,
    open: (usize, usize),
    /// Rows that were not kept for `previous`.
    unkept: u64,
    /// By case: its name, cases held, what became of its events.
    cases: Vec<(String, usize, u64, CaseCounts)>,
    calendar_gaps: Vec<(i16, u64)>,
}

impl Telemetry {
    /// What it tells of besides the driver's reports; once.
    pub fn look_at(&self, spool: &Arc<Spool>, store: &Arc<Store>, hub: &crate::server::hub::Hub, pipelines: &Arc<PipelineShelf>) {
        let _ = self.spool.set(spool.clone());
        let _ = self.store.set(store.clone());
        let _ = self.hub.set(hub.clone());
        let _ = self.pipelines.set(pipelines.clone());
    }

    fn latest(&self) -> std::sync::MutexGuard<'_, Latest> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn effects(&self, effects: &Effects) {
        self.rows.fetch_add(effects.rows.len() as u64, Relaxed);
        self.revisions.fetch_add(effects.rows.iter().filter(|r| r.revision > 0).count() as u64, Relaxed);
        self.alert_changes.fetch_add(effects.changes.len() as u64, Relaxed);
    }

    pub fn lost(&self, records: u64) {
        self.lost.fetch_add(records, Relaxed);
    }

    pub fn diverged(&self) {
        self.diverged.fetch_add(1, Relaxed);
    }

    /// The state is built and the log is read.
    pub fn set_ready(&self) {
        self.built.store(1_000_000, Relaxed);
        self.ready.store(true, Relaxed);
    }

    pub fn set_kafka(&self, statistics: Option<KafkaStatistics>) {
        *self.kafka.lock().unwrap_or_else(PoisonError::into_inner) = statistics;
    }

    pub fn set_log_trouble(&self, trouble: Option<&str>) {
        let mut held = self.log_trouble.lock().unwrap_or_else(PoisonError::into_inner);
        if held.as_deref() != trouble {
            *held = trouble.map(str::to_owned);
        }
    }

    pub fn set_built(&self, share: f64) {
        self.built.store((share.clamp(0.0, 1.0) * 1e6) as u64, Relaxed);
    }

    pub fn ready(&self) -> Result<(), String> {
        let trouble = self.log_trouble.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(trouble) = trouble {
            return Err(trouble);
        }
        if !self.ready.load(Relaxed) {
            return Err(format!("the state is being built: {} %", self.built.load(Relaxed) / 10_000));
        }
        let latest = self.latest();
        if !latest.unreadable.is_empty() && latest.unreadable.iter().all(|u| *u) {
            return Err("no partition of the log can be read; see the log of this program and the broker's".into());
        }
        Ok(())
    }

    /// Once a second, from the driver: keeps figures for `/metrics`, gives health for the board.
    pub fn report(&self, lane: &Lane, tick: &Tick, names: &[PartitionName], lags: &[u64]) -> HealthInput {
        let pipelines = lane.setup.pipelines.iter().enumerate();
        let pipelines: Vec<_> = pipelines.map(|(i, p)| (p.name.clone(), lane.counts(i), lane.core.merger().delay(i, tick.time))).collect();
        let offsets = lane.collectors.iter().map(|c| c.next_offset());
        let delay = pipelines.iter().filter_map(|p| p.2).max().unwrap_or(Span::ZERO);
        let unreadable: Vec<bool> = tick.partitions.iter().map(|p| p.unreadable).collect();
        let log = match (unreadable.iter().any(|u| *u), self.lost.load(Relaxed)) {
            (true, _) => LogHealth::Unreadable,
            (false, 1..) => LogHealth::Lost,
            (false, 0) => LogHealth::Ok,
        };
        self.sources.renew(lane, tick.time);
        if let Some(shelf) = self.pipelines.get() {
            let flow = self.flow.lock().unwrap_or_else(PoisonError::into_inner).flow(Instant::now(), lane, tick, names, lags);
            shelf.put(flow);
        }
        let parts = self.health.lock().unwrap_or_else(PoisonError::into_inner).parts(lane, tick.time);
        *self.latest() = Latest {
            tick: tick.number,
            tick_time: tick.time,
            live: tick.live,
            partitions: names.iter().cloned().zip(offsets).zip(lags).map(|((n, o), l)| (n, o, *l)).collect(),
            unreadable,
            pipelines,
            open: lane.core.merger().size(),
            cases: case_figures(lane),
            unkept: lane.core.unkept(),
            calendar_gaps: lane.core.cases().gaps().years().collect(),
        };
        let built = self.built.load(Relaxed) as f64 / 1e6;
        let common = HealthView { delay_ms: delay.millis(), store: self.store_health(), log, built, ..HealthView::default() };
        HealthInput { parts, common }
    }

    fn store_health(&self) -> StoreHealth {
        let Some(spool) = self.spool.get() else { return StoreHealth::Ok };
        let figures = spool.figures();
        match (figures.owed_ranges, figures.waiting_bytes) {
            (1.., _) => StoreHealth::Owed,
            (0, bytes) if bytes > 4 << 20 => StoreHealth::Behind,
            _ => StoreHealth::Ok,
        }
    }

    /// Prometheus text, version 0.0.4.
    pub fn render(&self) -> String {
        let latest = self.latest().clone();
        let mut text = Text(String::new());
        text.gauge("ioc_tick_number", "Number of the last tick.", latest.tick as f64);
        text.gauge("ioc_tick_time_seconds", "Tick time.", latest.tick_time.millis() as f64 / 1e3);
        text.gauge("ioc_live", "1 while tick time is within 5 s of the wall clock.", f64::from(u8::from(latest.live)));
        text.head("ioc_partition_offset", "gauge", "Next record to take.");
        for (name, offset, _) in &latest.partitions {
            text.line("ioc_partition_offset", &partition(name), *offset as f64);
        }
        text.head("ioc_partition_lag_records", "gauge", "Records at the broker that were not taken yet.");
        for (name, _, lag) in &latest.partitions {
            text.line("ioc_partition_lag_records", &partition(name), *lag as f64);
        }
        self.render_verdicts(&latest, &mut text);
        text.head("ioc_watermark_age_seconds", "gauge", "Tick time minus the least watermark of a partition that is not idle.");
        for (name, _, delay) in &latest.pipelines {
            if let Some(delay) = delay {
                text.line("ioc_watermark_age_seconds", &format!("pipeline=\"{name}\""), delay.millis() as f64 / 1e3);
            }
        }
        text.gauge("ioc_open_windows", "Windows that can still change.", latest.open.0 as f64);
        text.gauge("ioc_open_entries", "Keys in them.", latest.open.1 as f64);
        render_cases(&latest, &mut text);
        text.head("ioc_previous_unkept_total", "counter", "Rows that were not kept to be compared with later, for want of room.");
        text.line("ioc_previous_unkept_total", "", latest.unkept as f64);
        text.counter("ioc_rows_total", "Rows published, revisions included.", self.rows.load(Relaxed));
        text.counter("ioc_row_revisions_total", "Rows published again.", self.revisions.load(Relaxed));
        text.counter("ioc_alert_changes_total", "Changes of alerts' condition.", self.alert_changes.load(Relaxed));
        text.counter("ioc_lost_records_total", "Records deleted before they were read.", self.lost.load(Relaxed));
        text.counter("ioc_diverged_ticks_total", "Ticks whose recomputation differed from the journal.", self.diverged.load(Relaxed));
        self.render_outside(&mut text);
        text.0
    }

    fn render_verdicts(&self, latest: &Latest, text: &mut Text) {
        text.head("ioc_records_total", "counter", "Records by pipeline and verdict; their sum is what was read.");
        for (name, counts, _) in &latest.pipelines {
            for (reason, n) in &counts.rejected {
                text.line("ioc_records_total", &format!("pipeline=\"{name}\",verdict=\"rejected\",reason=\"{reason}\""), *n as f64);
            }
            for (verdict, n) in verdicts(counts) {
                text.line("ioc_records_total", &format!("pipeline=\"{name}\",verdict=\"{verdict}\",reason=\"\""), n as f64);
            }
        }
        text.head("ioc_conflicts_total", "counter", "Duplicates that carry other data.");
        for (name, counts, _) in &latest.pipelines {
            text.line("ioc_conflicts_total", &format!("pipeline=\"{name}\""), counts.conflict as f64);
        }
        text.head("ioc_invalid_fields_total", "counter", "Fields emptied because their value lies outside the valid range.");
        for (name, counts, _) in &latest.pipelines {
            text.line("ioc_invalid_fields_total", &format!("pipeline=\"{name}\""), counts.invalid_field as f64);
        }
    }

    fn render_outside(&self, text: &mut Text) {
        if let Some(spool) = self.spool.get() {
            let figures = spool.figures();
            text.gauge("ioc_spool_waiting_bytes", "Rows that the store has not acknowledged.", figures.waiting_bytes as f64);
            text.gauge("ioc_spool_bytes", "Size of the spool on disk.", figures.bytes_on_disk as f64);
            text.gauge("ioc_spool_bound_bytes", "Bound of the spool.", figures.bound as f64);
            text.gauge("ioc_owed_rows", "Rows that did not fit into the spool.", figures.owed_rows as f64);
        }
        let gate = &self.gate;
        text.counter("ioc_journal_commits_total", "Commits of the journal.", gate.commits.load(Relaxed));
        text.head("ioc_journal_commit_seconds_total", "counter", "Time spent in them.");
        text.line("ioc_journal_commit_seconds_total", "", gate.commit_micros.load(Relaxed) as f64 / 1e6);
        text.counter("ioc_checkpoints_total", "Checkpoints handed over.", gate.checkpoints.load(Relaxed));
        text.counter(
            "ioc_checkpoints_postponed_total",
            "Checkpoints that found the last one still being written.",
            gate.checkpoints_postponed.load(Relaxed),
        );
        let pause = gate.checkpoint_pause_micros.load(Relaxed) as f64 / 1e6;
        text.gauge("ioc_checkpoint_pause_seconds", "How long the engine stood still for the last checkpoint.", pause);
        if let Some(Store::Influx(influx)) = self.store.get().map(|s| &**s) {
            influx_lines(&influx.figures(), text);
        }
        if let Some(kafka) = &*self.kafka.lock().unwrap_or_else(PoisonError::into_inner) {
            kafka_lines(kafka, text);
        }
        if let Some(hub) = self.hub.get() {
            hub_lines(hub.counters(), text);
        }
        if let Some((outbox, channels)) = self.channels.get() {
            channel_lines(outbox, channels, text);
        }
    }
}

/// By case, in the order of the files: (name, held, refused, counts).
fn case_figures(lane: &Lane) -> Vec<(String, usize, u64, CaseCounts)> {
    let mut figures = Vec::new();
    for (p, pipeline) in lane.setup.pipelines.iter().enumerate().filter(|(_, p)| !p.cases.is_empty()) {
        let counts = lane.counts(p);
        for (c, spec) in pipeline.cases.iter().enumerate() {
            let (held, refused) = lane.core.cases().held(p, c);
            figures.push((spec.name.clone(), held, refused, counts.cases.get(c).copied().unwrap_or_default()));
        }
    }
    figures
}

fn render_cases(latest: &Latest, text: &mut Text) {
    text.head("ioc_cases", "gauge", "Cases held, closed ones included until they are forgotten.");
    for (name, held, ..) in &latest.cases {
        text.line("ioc_cases", &format!("case=\"{name}\""), *held as f64);
    }
    text.head("ioc_case_events_total", "counter", "Events that a case wanted, by what became of them.");
    for (name, _, refused, counts) in &latest.cases {
        for (outcome, n) in
            [("taken", counts.taken), ("unknown_state", counts.unknown_state), ("no_subject", counts.no_subject), ("refused", *refused)]
        {
            text.line("ioc_case_events_total", &format!("case=\"{name}\",outcome=\"{outcome}\""), n as f64);
        }
    }
    text.head("ioc_calendar_gaps_total", "counter", "Working time asked of a year that registry/calendar.yaml does not have.");
    for (year, n) in &latest.calendar_gaps {
        text.line("ioc_calendar_gaps_total", &format!("year=\"{year}\""), *n as f64);
    }
}

fn influx_lines(figures: &WriteFigures, text: &mut Text) {
    text.counter("ioc_influx_requests_total", "Write requests to InfluxDB.", figures.requests);
    text.counter("ioc_influx_retries_total", "Write requests sent again.", figures.retries);
    text.counter("ioc_influx_rows_total", "Rows that InfluxDB took.", figures.rows);
    text.counter("ioc_influx_refused_rows_total", "Rows that InfluxDB will never take; they lie among the dead letters.", figures.refused);
    text.counter("ioc_influx_sent_bytes_total", "Bytes of bodies sent to InfluxDB.", figures.bytes_sent);
}

fn kafka_lines(kafka: &KafkaStatistics, text: &mut Text) {
    text.counter("ioc_kafka_received_bytes_total", "Bytes that came from Kafka.", kafka.received_bytes);
    text.counter("ioc_kafka_received_records_total", "Records that came from Kafka.", kafka.received_records);
    text.counter("ioc_kafka_assignments_total", "Assignments received from the consumer group.", kafka.assignments);
    text.counter("ioc_kafka_fenced_records_total", "Records of partitions that were no longer assigned, dropped.", kafka.fenced);
    text.counter("ioc_kafka_unclocked_records_total", "Records without the broker's time on a topic that should have it.", kafka.unclocked);
    text.head("ioc_kafka_broker_up", "gauge", "1 while the connection to a broker stands.");
    for (broker, state) in &kafka.brokers {
        text.line("ioc_kafka_broker_up", &format!("broker=\"{broker}\""), f64::from(u8::from(state == "UP")));
    }
}

fn channel_lines(outbox: &Outbox, channels: &[(&'static str, Arc<ChannelCounters>)], text: &mut Text) {
    text.counter("ioc_alert_changes_told_total", "Alert changes that are told to other programs.", outbox.newest());
    let mut lines = |name: &str, kind: &str, help: &str, value: &dyn Fn(&ChannelCounters) -> u64| {
        text.head(name, kind, help);
        for (channel, counters) in channels {
            text.line(name, &format!("channel=\"{channel}\""), value(counters) as f64);
        }
    };
    let newest = outbox.newest();
    lines("ioc_channel_told_total", "counter", "Alert changes that a channel took.", &|c| c.told.load(Relaxed));
    lines("ioc_channel_waiting", "gauge", "Alert changes that a channel has not taken yet.", &|c| {
        newest.saturating_sub(c.at.load(Relaxed))
    });
    lines("ioc_channel_retries_total", "counter", "Tries that a channel did not take.", &|c| c.retries.load(Relaxed));
    lines("ioc_channel_dead_total", "counter", "Alert changes that were given up and lie among the dead letters.", &|c| {
        c.dead.load(Relaxed)
    });
    lines("ioc_channel_lost_total", "counter", "Alert changes that were forgotten before they were told.", &|c| c.lost.load(Relaxed));
}

fn hub_lines(counters: &HubCounters, text: &mut Text) {
    text.gauge("ioc_clients", "Websockets open.", counters.clients.load(Relaxed) as f64);
    text.counter("ioc_clients_slow_total", "Clients closed because they read too slowly.", counters.closed_slow.load(Relaxed));
    text.counter("ioc_frames_encoded_total", "Frames encoded, once per scope.", counters.frames_encoded.load(Relaxed));
    text.counter("ioc_frames_total", "Frames queued to clients.", counters.frames_queued.load(Relaxed));
}

fn verdicts(counts: &PartCounts) -> [(&'static str, u64); 4] {
    [("unwanted", counts.unwanted), ("late", counts.late), ("duplicate", counts.duplicate), ("accepted", counts.accepted)]
}

fn partition(name: &PartitionName) -> String {
    format!("topic=\"{}\",partition=\"{}\"", name.topic, name.number)
}

/// Prometheus text under construction.
struct Text(String);

impl Text {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn line(&mut self, name: &str, labels: &str, value: f64) {
        let _ = if labels.is_empty() { writeln!(self.0, "{name} {value}") } else { writeln!(self.0, "{name}{{{labels}}} {value}") };
    }

    fn gauge(&mut self, name: &str, help: &str, value: f64) {
        self.head(name, "gauge", help);
        self.line(name, "", value);
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.head(name, "counter", help);
        self.line(name, "", value as f64);
    }
}
