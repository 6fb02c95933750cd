//! A whole lane over its real files, driven step by step in simulated time, to be killed between any two.
//!
//! Journal, refused records and store are SQLite on the real disk: a kill copies them as they lie. Spool and checkpoints are on a disk that
//! keeps only what was fsynced, plus any part of what was not. The log is somebody else's process: it goes on.

use super::feed::{Kept, Log as Records};
use super::{compiled, event, ms};
use ioc::checkpoint::{CheckpointThread, Checkpoints};
use ioc::definitions::Definitions;
use ioc::disk::{Disk, copy_as_killed};
use ioc::driver::gate::{AlertShelf, Batch, Checkpoint, Gate, Keeping, Outgoing, QUEUE, Step};
use ioc::driver::records::catch_up;
use ioc::driver::recover::{self, Refill};
use ioc::driver::{CheckpointClock, Clock, Driver, new_cutter};
use ioc::engine::setup::MAX_BEHIND;
use ioc::ingest::embedded::EmbeddedReader;
use ioc::ingest::log::{Log, NewRecord};
use ioc::ingest::past::PastPlace;
use ioc::ingest::reader::{Kind, Reader};
use ioc::journal::{Journal, JournalReader};
use ioc::replay::Past;
use ioc::server::ActionRequest;
use ioc::server::board::BoardTick;
use ioc::server::history::KeptAlerts;
use ioc::server::hub::{Hub, HubLimits};
use ioc::server::views::Views;
use ioc::settings::ClockKind;
use ioc::store::Store;
use ioc::store::embedded::Embedded;
use ioc::store::late::LateStore;
use ioc::store::line::LineFormats;
use ioc::store::rejected::RejectedStore;
use ioc::store::spool::{DEFAULT_BOUND, Spool};
use ioc::telemetry::Telemetry;
use ioc::time::{Span, Timestamp};
use serde_json::json;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

/// Small and seeded: the same schedule on every machine.
pub struct Rng(pub u64);

impl Rng {
    pub fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D).rotate_left(23) % n.max(1)
    }

    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

/// Two partitions of ten minutes: disorder, late ones, copies, conflicts, nonsense.
pub fn records(seed: u64) -> Records {
    let mut rng = Rng(seed * 7919 + 13);
    let mut parts = vec![Vec::new(), Vec::new()];
    let mut arrival = [0i64, 300];
    for i in 0..260u64 {
        let p = rng.below(2) as usize;
        arrival[p] += if rng.one_in(40) { 60_000 } else { rng.below(4_000) as i64 };
        let delay = if rng.one_in(12) { rng.below(90_000) } else { rng.below(3_000) } as i64;
        let number = if rng.one_in(10) { i.saturating_sub(3) } else { i };
        let x = rng.below(20) as f64 - 9.5;
        let data = json!({"x": if rng.one_in(9) { None } else { Some(x) }, "ok": !rng.one_in(8), "k": format!("k{}", rng.below(3))});
        let source = format!("s{}", rng.below(4));
        let mut body = event(if rng.one_in(5) { "t.b" } else { "t.a" }, &source, &format!("{p}-{number}"), ms(arrival[p] - delay), data);
        if rng.one_in(25) {
            body.truncate(40);
        }
        parts[p].push(Kept { broker_time: Some(ms(arrival[p])), body });
    }
    parts
}

pub fn end_of(records: &Records) -> Timestamp {
    records.iter().filter_map(|p| p.last()?.broker_time).max().unwrap_or(super::T0)
}

pub fn new_records(records: &Records) -> VecDeque<NewRecord> {
    let new = |(p, kept): (usize, &Kept)| NewRecord {
        value: kept.body.clone().into(),
        broker_time: kept.broker_time,
        partition: Some(p as u32),
        ..NewRecord::default()
    };
    records.iter().enumerate().flat_map(|(p, kept)| kept.iter().map(move |k| (p, k))).map(new).collect()
}

/// Where a lane lives, over all its lives.
pub struct Site {
    pub root: TempDir,
    pub log: Log,
    pub definitions: Definitions,
    spool_disk: Disk,
    checkpoint_disk: Disk,
    life: usize,
    pub spool_bound: u64,
    /// How the lane's clock runs; recorded input counts as without broker_time.
    pub clock: Clock,
    /// What is published goes to [`Life::published`] instead of a board.
    pub tapped: bool,
    /// Records that come later.
    pending: VecDeque<NewRecord>,
    pub runtime: Runtime,
}

/// One life of the process.
pub struct Life {
    pub driver: Driver,
    pub gate: Gate,
    pub ticks: Receiver<Outgoing>,
    pub actions: mpsc::Sender<ActionRequest>,
    pub spool: Arc<Spool>,
    pub store: Store,
    pub telemetry: Arc<Telemetry>,
    /// Of a tapped site.
    pub published: Option<mpsc::Receiver<Arc<BoardTick>>>,
    formats: LineFormats,
}

/// Something refused to go on: the process is as good as dead.
#[derive(Debug)]
pub struct Dead(pub String);

fn dead(error: impl std::fmt::Display) -> Dead {
    Dead(error.to_string())
}

impl Site {
    pub fn new(records: &Records, definitions: Definitions) -> Site {
        let root = tempfile::tempdir().unwrap();
        let log = Log::open(root.path(), "events", records.len() as u32).unwrap();
        log.append_blocking(new_records(records).into()).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        Site {
            root,
            log,
            definitions,
            spool_disk: Disk::memory(),
            checkpoint_disk: Disk::memory(),
            life: 0,
            spool_bound: DEFAULT_BOUND,
            clock: Clock::Live,
            tapped: false,
            pending: VecDeque::new(),
            runtime,
        }
    }

    /// A recorded topic that is filled while it is read: nothing is there yet.
    pub fn recorded(records: &Records, definitions: Definitions) -> Site {
        let mut site = Site::new(&records.iter().map(|_| Vec::new()).collect(), definitions);
        site.pending = new_records(records);
        // as they came in, partitions mixed
        site.pending.make_contiguous().sort_by_key(|r| r.broker_time);
        site.clock = Clock::Recorded;
        site
    }

    /// The next records enter the log; false if there are none.
    pub fn append(&mut self, count: usize) -> bool {
        let next: Vec<_> = self.pending.drain(..count.min(self.pending.len())).collect();
        let any = !next.is_empty();
        if any {
            self.log.append_blocking(next).unwrap();
        }
        any
    }

    pub fn data(&self) -> PathBuf {
        self.root.path().join(format!("data-{}", self.life))
    }

    pub fn journal(&self) -> JournalReader {
        JournalReader::open(&self.data()).unwrap()
    }

    /// Ticks of the checkpoints that lie there.
    pub fn checkpoints(&self) -> Vec<u64> {
        let checkpoints = Checkpoints::open(self.checkpoint_disk.clone(), Path::new("/checkpoints")).unwrap();
        checkpoints.list().unwrap().iter().map(|(head, _)| head.tick).collect()
    }

    /// The past as a replay finds it, whoever writes it meanwhile.
    pub fn past(&self) -> Arc<Past> {
        let checkpoints = Checkpoints::open(self.checkpoint_disk.clone(), Path::new("/checkpoints")).unwrap().reader();
        let clock = if self.clock == Clock::Live { ClockKind::Broker } else { ClockKind::Event };
        let log = PastPlace::Embedded { folder: self.root.path().to_owned(), topics: [("events".to_owned(), clock)].into() };
        Arc::new(Past::new(self.data(), checkpoints, log, self.definitions.version(), compiled(&self.definitions, Some(MAX_BEHIND))))
    }

    /// From some step of the spool's or the checkpoints' disk on, everything fails: killed in the middle of an operation.
    pub fn arm(&self, rng: &mut Rng) {
        match rng.below(6) {
            0 | 1 => self.spool_disk.fail_from(self.spool_disk.steps() + rng.below(60)),
            2 => self.checkpoint_disk.fail_from(self.checkpoint_disk.steps() + rng.below(12)),
            _ => {}
        }
    }

    /// D1: no checkpoint lies past the journal, and each holds the offsets of its tick.
    fn check_checkpoint(&self, checkpoints: &Checkpoints, last: Option<u64>, reading: &JournalReader) {
        let (newest, _) = checkpoints.newest::<Checkpoint>(u64::MAX).unwrap();
        let Some(newest) = newest else { return };
        assert!(Some(newest.tick) <= last, "D1: checkpoint {} is ahead of the journal, {last:?}", newest.tick);
        let tick = reading.ticks_from(newest.tick).next().unwrap().unwrap().tick;
        let ends: Vec<u64> = tick.partitions.iter().map(|p| p.end).collect();
        let offsets: Vec<u64> = newest.body.lane.partitions.iter().map(|p| p.next_offset).collect();
        assert_eq!(ends, offsets, "D1: offsets live in the checkpoint");
    }

    /// Starts as the composition root does.
    pub fn start(&self) -> Result<Life, Dead> {
        let data = self.data();
        let mut journal = Journal::open(&data).map_err(dead)?;
        let checkpoints =
            Checkpoints::open_fenced(self.checkpoint_disk.clone(), Path::new("/checkpoints"), journal.epoch()).map_err(dead)?;
        let spool = Arc::new(Spool::open(self.spool_disk.clone(), Path::new("/spool"), self.spool_bound).map_err(dead)?);
        let mut rejected = RejectedStore::open(&data).map_err(dead)?;
        let setup = compiled(&self.definitions, Some(MAX_BEHIND));
        let last = journal.last_tick();
        let reading = journal.reader().map_err(dead)?;
        self.check_checkpoint(&checkpoints, last, &reading);
        let mut start = recover::load(&reading, last, &checkpoints.reader(), &self.definitions, &setup).map_err(dead)?;
        let clock = if self.clock == Clock::Live { ClockKind::Broker } else { ClockKind::Event };
        let kind = Kind::Embedded(EmbeddedReader::open(vec![(self.log.clone(), clock)], &start.offsets()));
        let mut reader = Reader::new(kind, &start.names).map_err(dead)?;
        let telemetry = Arc::new(Telemetry::default());
        let mut late = LateStore::open(&data).map_err(dead)?;
        let mut records = KeptAlerts::open(&data).map_err(dead)?;
        catch_up(&mut records, &reading, start.next, (&setup, &start.names)).map_err(dead)?;
        let mut refill = Refill { spool: &spool, rejected: &mut rejected, late: &mut late, kept: &mut records, telemetry: &telemetry };
        let mut next = recover::feed(&mut start, &reading, &mut reader, &mut refill, &mut |_| {}).map_err(dead)?;
        let version = self.definitions.version();
        let configuration = (start.definitions != version).then(|| self.definitions.to_configuration());
        let mut notes = Vec::new();
        if configuration.is_some() && !start.definitions.is_empty() {
            next = recover::retire(&mut start, next, &setup, &mut journal, (&spool, &mut records), &mut notes).map_err(dead)?;
        }
        start.lane.setup = setup.clone();
        let views = Arc::new(Views::new(setup.clone()));
        views.name_partitions(&start.names);
        let store = Store::Embedded(Embedded::open(&data.join("store")).map_err(dead)?);
        let (hub, published) = match self.tapped {
            true => Some(Hub::tapped(1 << 20)).unzip(),
            false => (Some(self.runtime.block_on(async { Hub::start(HubLimits::default(), "test".into()) })), None),
        };
        let gate = Gate {
            journal,
            spool: spool.clone(),
            rejected,
            late,
            records,
            redriven: tokio::sync::watch::channel(0).0,
            keeping: Keeping { checkpoints: checkpoints.clone(), log: Span::days(7), last: Some(Instant::now()) },
            checkpoints: CheckpointThread::start(checkpoints).map_err(dead)?,
            views,
            hub: hub.unwrap(),
            outbox: Arc::new(ioc::notify::Outbox::new(&data, 0)),
            runtime: self.runtime.handle().clone(),
            alerts: Arc::new(AlertShelf::default()),
            cases: Arc::new(ioc::server::cases::CaseShelf::new(setup.clone())),
            counters: telemetry.gate.clone(),
        };
        let (out, ticks) = sync_channel(QUEUE);
        let (actions, requests) = mpsc::channel(16);
        let driver = Driver {
            cutter: new_cutter(start.lane.core.time()),
            lane: start.lane,
            reader,
            clock: self.clock,
            gate: out,
            actions: requests,
            telemetry: telemetry.clone(),
            stop: Arc::default(),
            exit_at_end: false,
            figures: start.figures,
            number: next,
            names: start.names,
            definitions: version,
            notes,
            lost: start.lost,
            configuration,
            checkpoint: CheckpointClock::default(),
            // never reported: health is wall clock's business
            reported: Some(Instant::now() + Duration::from_secs(86_400)),
            redriven: Vec::new(),
        };
        let formats = LineFormats::new(&setup.pipelines);
        Ok(Life { driver, gate, ticks, actions, spool, store, telemetry, published, formats })
    }

    /// `kill -9` and a power cut: what was not durable may be there in part.
    pub fn kill(&mut self, life: Option<Life>, rng: &mut Rng) {
        let from = self.data();
        self.life += 1;
        copy_as_killed(&from, &self.data()).unwrap();
        self.stop_disks();
        drop(life);
        for disk in [&self.spool_disk, &self.checkpoint_disk] {
            disk.crash(|_, unsynced| rng.below(unsynced as u64 + 1) as usize);
        }
    }

    /// The history of alerts is lost: the journal has it all.
    pub fn lose_records(&self) {
        for tail in ["", "-wal"] {
            let _ = std::fs::remove_file(self.data().join(format!("alerts.sqlite{tail}")));
        }
    }

    /// Nothing that is dropped from here on writes anything.
    fn stop_disks(&self) {
        self.spool_disk.fail_from(self.spool_disk.steps());
        self.checkpoint_disk.fail_from(self.checkpoint_disk.steps());
    }
}

impl Life {
    /// What was computed and waits for its commit.
    pub fn batch(&self) -> Option<Batch> {
        let ticks: Vec<Outgoing> = self.ticks.try_iter().collect();
        (!ticks.is_empty()).then(|| Batch::new(ticks))
    }

    pub fn commit_step(&mut self, step: Step, batch: &mut Batch) -> Result<(), Dead> {
        self.gate.commit_step(step, batch, &self.formats).map_err(dead)?;
        for written in batch.written.drain(..) {
            written.blocking_recv().map_err(dead)?.map_err(dead)?;
            // the next one need not wait for wall time
            self.driver.checkpoint = CheckpointClock::default();
        }
        Ok(())
    }

    pub fn commit_all(&mut self) -> Result<(), Dead> {
        let Some(mut batch) = self.batch() else { return Ok(()) };
        Step::ALL.into_iter().try_for_each(|step| self.commit_step(step, &mut batch))
    }
}
