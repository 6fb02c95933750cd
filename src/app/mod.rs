//! The composition root: settings in, a running `ioc` out; start, stop, port 0 in tests.
//!
//! Owns: which parts there are, in which order they start and stop, their threads. Refuses to know: what any of them does.
//!
//! Invariants
//! 1. The page answers before the state is built; it shows how far that is.
//! 2. Stopping drains: the driver ends with a checkpoint, the gate commits what waits, clients are told, then the process may exit.
//! 3. Listening beyond loopback without a token is refused.
//!
//! Called by: cli, tests.

mod house;
mod out;
mod parts;
pub mod past;
pub mod redrive;

pub use parts::{kafka as kafka_settings, topics as topic_settings};

use crate::checkpoint::{CheckpointThread, Checkpoints};
use crate::definitions::Definitions;
use crate::disk::Disk;
use crate::driver::gate::{AlertShelf, Gate, Keeping, Outgoing, QUEUE};
use crate::driver::records::catch_up;
use crate::driver::recover::{self, Refill, Start};
use crate::driver::{CheckpointClock, Clock, Driver, DriverError, new_cutter, wall_clock};
use crate::engine::Condition;
use crate::engine::alert::Alert;
use crate::engine::setup::{MAX_BEHIND, Setup};
use crate::ingest::embedded::EmbeddedReader;
use crate::ingest::kafka::{KafkaDoor, KafkaReader};
use crate::ingest::log::Log;
use crate::ingest::reader::{Kind, Opening, Reader};
use crate::journal::{Journal, Note};
use crate::notify::Outbox;
use crate::replay::Past;
use crate::server::audit::Audit;
use crate::server::auth::Access;
use crate::server::cases::CaseShelf;
use crate::server::history::{AlertRecords, KeptAlerts};
use crate::server::hub::{Hub, HubLimits, new_building};
use crate::server::pipelines::PipelineShelf;
use crate::server::views::{Views, catalog};
use crate::server::wire::{Catalog, DemoStep, Text, TickView};
use crate::server::{ActionRequest, EventDoor, ServerParts, ServerSettings};
use crate::settings::{ClockKind, LogKind, Settings, StoreKind};
use crate::store::late::LateStore;
use crate::store::rejected::RejectedStore;
use crate::store::spool::Spool;
use crate::store::{Store, drain};
use crate::telemetry::Telemetry;
use crate::time::{Span, Timestamp};
use anyhow::{Context, bail};
use house::House;
use out::Telling;
use redrive::{Desk, Way};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::thread::JoinHandle;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

/// What is done with the doors before the log is read.
/// It may tell how much of it is done, 0..1: the page shows that.
pub type Prepare = Box<dyn FnOnce(&Doors, &mut dyn FnMut(f64)) -> anyhow::Result<()> + Send>;

/// How an app is run besides its settings.
#[derive(Default)]
pub struct Options {
    /// End once every partition is read to its end.
    pub exit_at_end: bool,
    /// Done before the log is read: the demo writes its history.
    pub prepare: Option<Prepare>,
    /// What a demo shows, for the page.
    pub demo: Vec<DemoStep>,
}

/// Where the embedded log or Kafka takes records in.
#[derive(Clone)]
pub enum Doors {
    Embedded(Log),
    Kafka(Arc<KafkaDoor>, String),
}

/// A running `ioc`.
pub struct App {
    pub address: SocketAddr,
    pub telemetry: Arc<Telemetry>,
    pub doors: Doors,
    pub store: Arc<Store>,
    pub hub: Hub,
    stop: Arc<AtomicBool>,
    engine: JoinHandle<anyhow::Result<()>>,
    server: tokio::task::JoinHandle<std::io::Result<()>>,
    shutdown: oneshot::Sender<()>,
    draining: CancellationToken,
    drained: tokio::task::JoinHandle<()>,
    keeping: tokio::task::JoinHandle<()>,
    spool: Arc<Spool>,
    telling: Telling,
}

impl App {
    /// Starts everything; returns once the page answers.
    pub async fn start(settings: Settings, options: Options) -> anyhow::Result<App> {
        let access = Access::load(&settings.data, settings.listen.ip().is_loopback(), Arc::new(wall_clock))?;
        crate::server::auth::may_listen(settings.listen, &crate::server::auth::tokens::list(&settings.data)?, wall_clock())?;
        let definitions = Definitions::read(&settings.pipelines, Some(&settings.schemas), Some(&settings.registry))?;
        let setup = Arc::new(definitions.compile(Some(MAX_BEHIND))?);
        let listener = TcpListener::bind(settings.listen).await.with_context(|| {
            format!(
                "cannot listen on {}: another program may use it; give another with --listen, or set `listen` in ioc.toml",
                settings.listen
            )
        })?;
        let address = listener.local_addr()?;
        std::fs::create_dir_all(&settings.data).with_context(|| format!("cannot make the data folder {}", settings.data.display()))?;
        let journal = Journal::open(&settings.data)?;
        let (doors, logs) = open_doors(&settings)?;
        let store = open_store(&settings).await?;
        let spool = Arc::new(Spool::open(Disk::Real, &settings.data.join("spool"), settings.spool_mb << 20)?);
        let hub = Hub::start(HubLimits::default(), new_building()?);
        let telemetry = Arc::new(Telemetry::default());
        let pipelines = Arc::new(PipelineShelf::new(setup.clone(), &definitions));
        telemetry.look_at(&spool, &store, &hub, &pipelines);
        let telling = Telling::start(&settings, &journal, &doors, &telemetry)?;
        let (alerts, cases) = (Arc::new(AlertShelf::default()), Arc::new(CaseShelf::new(setup.clone())));
        let (actions, requests) = mpsc::channel(256);
        let views = Arc::new(Views::new(setup.clone()));
        let (judged, verdicts) = watch::channel(0);
        let desk = Desk { data: settings.data.clone(), way: way(&settings, &doors, &logs), judged: verdicts };
        let catalog = Catalog { demo: options.demo.clone(), ..catalog(&setup, &definitions, place(&settings), "Asia/Ho_Chi_Minh") };
        let shelves = Shelves { alerts: &alerts, views: &views, cases: &cases, pipelines: &pipelines, outbox: &telling.outbox };
        let behind = (&doors, desk, past::of(&settings, &definitions, &setup));
        let parts = server_parts(&settings, &setup, catalog, access, &hub, &store, shelves, actions, behind, &telemetry)?;
        let (shutdown, stopped) = oneshot::channel();
        let server = tokio::spawn(crate::server::serve(listener, parts, async {
            let _ = stopped.await;
        }));
        let draining = CancellationToken::new();
        let drained = tokio::spawn(drain(store.clone(), spool.clone(), draining.clone()));
        let house = House {
            read: logs.iter().map(|(log, _)| log.clone()).collect(),
            told: telling.log.clone(),
            log_days: settings.log_days,
            checkpoints: Checkpoints::open(Disk::Real, &settings.data.join("checkpoints"))?,
            store: live_store(&settings, &store),
        };
        let keeping = tokio::spawn(house.keep());
        let stop = Arc::new(AtomicBool::new(false));
        let engine = Engine {
            settings,
            options,
            definitions,
            setup,
            journal,
            logs,
            doors: doors.clone(),
            spool: spool.clone(),
            hub: hub.clone(),
            telemetry: telemetry.clone(),
            alerts,
            cases,
            views,
            requests,
            judged,
            outbox: telling.outbox.clone(),
            stop: stop.clone(),
            runtime: tokio::runtime::Handle::current(),
        };
        let engine = std::thread::Builder::new().name("driver".into()).stack_size(16 << 20).spawn(move || engine.run())?;
        Ok(App { address, telemetry, doors, store, hub, stop, engine, server, shutdown, draining, drained, keeping, spool, telling })
    }

    /// True once the driver has ended by itself: at the end of its input, or by an error.
    pub fn ended(&self) -> bool {
        self.engine.is_finished()
    }

    pub fn spool(&self) -> &Arc<Spool> {
        &self.spool
    }

    /// Drains and ends everything; the driver's error if it had one.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        let engine = self.engine;
        let result = tokio::task::spawn_blocking(move || engine.join()).await?;
        // what the gate let out is in the spool; the store takes what it can in a moment, the rest waits for the next start
        let patience = std::time::Duration::from_secs(5);
        let empty = async {
            while self.spool.figures().waiting_ticks > 0 && self.store.health().await.well {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        };
        let _ = tokio::time::timeout(patience, empty).await;
        self.draining.cancel();
        self.keeping.abort();
        let _ = self.drained.await;
        self.telling.stop().await;
        let _ = self.shutdown.send(());
        self.server.await??;
        match result {
            Ok(result) => result,
            Err(_) => bail!("the driver's thread ended unexpectedly; its message is above"),
        }
    }
}

/// The store whose rows age by the wall clock: rows of recorded topics are as old as their events, and stay.
fn live_store(settings: &Settings, store: &Arc<Store>) -> Option<Arc<Store>> {
    settings.topics.values().all(|t| t.clock == ClockKind::Broker).then(|| store.clone())
}

fn place(settings: &Settings) -> Text {
    Text { vi: settings.place.vi.clone(), en: settings.place.en.clone() }
}

fn open_doors(settings: &Settings) -> anyhow::Result<(Doors, Vec<(Log, ClockKind)>)> {
    let Some(first) = settings.topics.keys().next() else {
        bail!("no topic is named; add `[topics.\"{}\"]` to ioc.toml", crate::settings::DEFAULT_TOPIC)
    };
    match settings.log {
        LogKind::Embedded => {
            let mut logs = Vec::new();
            for (topic, how) in &settings.topics {
                logs.push((Log::open(&settings.data.join("log"), topic, 4)?, how.clock));
            }
            Ok((Doors::Embedded(logs[0].0.clone()), logs))
        }
        LogKind::Kafka => Ok((Doors::Kafka(Arc::new(KafkaDoor::open(&parts::kafka(settings))?), first.clone()), Vec::new())),
    }
}

/// Where refused records go in again: every topic that is read.
fn way(settings: &Settings, doors: &Doors, logs: &[(Log, ClockKind)]) -> Way {
    match doors {
        Doors::Embedded(_) => Way::Embedded(logs.iter().map(|(log, _)| log.clone()).collect()),
        Doors::Kafka(door, _) => Way::Kafka(door.clone(), settings.topics.keys().cloned().collect()),
    }
}

/// The same without a running server, which would hold the embedded log.
pub fn open_way(settings: &Settings) -> anyhow::Result<Way> {
    let (doors, logs) = open_doors(settings)?;
    Ok(way(settings, &doors, &logs))
}

/// The producer alone: `demo --feed-only`.
pub fn open_kafka_door(settings: &Settings) -> anyhow::Result<Doors> {
    let Some(topic) = settings.topics.keys().next() else { bail!("no topic is named in ioc.toml") };
    Ok(Doors::Kafka(Arc::new(KafkaDoor::open(&parts::kafka(settings))?), topic.clone()))
}

async fn open_store(settings: &Settings) -> anyhow::Result<Arc<Store>> {
    match settings.store {
        StoreKind::Embedded => Ok(Arc::new(Store::Embedded(crate::store::embedded::Embedded::open(&settings.data.join("store"))?))),
        StoreKind::Influx => parts::influx(settings).await,
    }
}

/// What the gate fills and the server asks.
struct Shelves<'a> {
    alerts: &'a Arc<AlertShelf>,
    views: &'a Arc<Views>,
    cases: &'a Arc<CaseShelf>,
    pipelines: &'a Arc<PipelineShelf>,
    outbox: &'a Arc<Outbox>,
}

#[expect(clippy::too_many_arguments)] // the root's own wiring, called once
fn server_parts(
    settings: &Settings,
    setup: &Arc<Setup>,
    catalog: Catalog,
    access: Access,
    hub: &Hub,
    store: &Arc<Store>,
    Shelves { alerts, views, cases, pipelines, outbox }: Shelves<'_>,
    actions: mpsc::Sender<ActionRequest>,
    (doors, desk, past): (&Doors, Desk, Past),
    telemetry: &Arc<Telemetry>,
) -> anyhow::Result<ServerParts> {
    let kilobyte = 1024;
    Ok(ServerParts {
        settings: ServerSettings {
            origins: settings.origins.clone(),
            event_limit: settings.body_kb * kilobyte,
            batch_limit: settings.body_kb * kilobyte * 8,
            clients: settings.clients,
            ..ServerSettings::default()
        },
        access: Arc::new(access),
        audit: Audit::open(&settings.data)?,
        hub: hub.clone(),
        province: Arc::new(parts::Land::new(setup, catalog, wall_clock())?),
        trends: Arc::new(parts::Trends(store.clone())),
        rows: Arc::new(parts::Rows(store.clone())),
        sources: Arc::new(parts::SourceList { setup: setup.clone(), telemetry: telemetry.clone() }),
        cases: cases.clone(),
        pipelines: pipelines.clone(),
        outbox: outbox.clone(),
        history: Arc::new(parts::History { alerts: alerts.clone(), views: views.clone() }),
        records: AlertRecords::new(&settings.data),
        actions,
        door: Arc::new(doors.clone()) as Arc<dyn EventDoor>,
        refusals: Arc::new(desk),
        replays: Arc::new(past::Room::new(past)),
        probes: Arc::new(parts::Watch(telemetry.clone())),
    })
}

/// What the driver's thread starts with.
struct Engine {
    settings: Settings,
    options: Options,
    definitions: Definitions,
    setup: Arc<Setup>,
    journal: Journal,
    logs: Vec<(Log, ClockKind)>,
    doors: Doors,
    spool: Arc<Spool>,
    hub: Hub,
    telemetry: Arc<Telemetry>,
    alerts: Arc<AlertShelf>,
    cases: Arc<CaseShelf>,
    views: Arc<Views>,
    requests: mpsc::Receiver<ActionRequest>,
    /// Moved whenever verdicts on records that were driven again are kept.
    judged: watch::Sender<u64>,
    outbox: Arc<Outbox>,
    stop: Arc<AtomicBool>,
    runtime: tokio::runtime::Handle,
}

impl Engine {
    fn run(mut self) -> anyhow::Result<()> {
        let result = self.prepare().and_then(|()| self.recover_and_drive());
        if let Err(error) = &result {
            tracing::error!("the driver stops: {error:#}");
        }
        result
    }

    fn prepare(&mut self) -> anyhow::Result<()> {
        let Some(prepare) = self.options.prepare.take() else { return Ok(()) };
        let mut shown = None;
        prepare(&self.doors, &mut |share| self.show_building(&mut shown, share))
    }

    fn clock(&self) -> anyhow::Result<Clock> {
        let recorded = self.settings.topics.values().filter(|t| t.clock == ClockKind::Event).count();
        match recorded {
            0 => Ok(Clock::Live),
            n if n == self.settings.topics.len() => Ok(Clock::Recorded),
            _ => bail!(
                "topics with `clock = \"event\"` and without cannot share a lane; run a second ioc with its own data folder for the recorded ones"
            ),
        }
    }

    /// A Kafka that does not answer is waited for while everything else works; see [`Reader::trouble`].
    fn open_reader(&self, start: &Start) -> anyhow::Result<Reader> {
        let offsets = start.offsets();
        let kind = match self.settings.log {
            LogKind::Embedded => Kind::Embedded(EmbeddedReader::open(self.logs.clone(), &offsets)),
            LogKind::Kafka => {
                let (kafka, topics) = (parts::kafka(&self.settings), parts::topics(&self.settings));
                let open = move || KafkaReader::open(&kafka, &topics, offsets.clone());
                Kind::Opening(Opening::start(&start.names, open).context("cannot start the thread that opens Kafka")?)
            }
        };
        Ok(Reader::new(kind, &start.names)?)
    }

    fn recover_and_drive(mut self) -> anyhow::Result<()> {
        let clock = self.clock()?;
        let checkpoints = Checkpoints::open_fenced(Disk::Real, &self.settings.data.join("checkpoints"), self.journal.epoch())?;
        let last = self.journal.last_tick();
        let reading = self.journal.reader()?;
        let mut start = recover::load(&reading, last, &checkpoints.reader(), &self.definitions, &self.setup)?;
        start.stop = self.stop.clone();
        let mut reader = self.open_reader(&start)?;
        let version = self.definitions.version();
        // the log may keep us waiting: what the checkpoint holds is shown meanwhile, if today's definitions can say it
        let early: Vec<Alert> = start.lane.core.book().iter().filter(|_| start.definitions == version).cloned().collect();
        if start.definitions == version {
            self.show(&start, &[]);
        }
        let mut rejected = RejectedStore::open(&self.settings.data)?;
        let mut late = LateStore::open(&self.settings.data)?;
        let mut kept = KeptAlerts::open(&self.settings.data)?;
        catch_up(&mut kept, &reading, start.next, (&self.setup, &start.names))?;
        let mut refill =
            Refill { spool: &self.spool, rejected: &mut rejected, late: &mut late, kept: &mut kept, telemetry: &self.telemetry };
        let span = last.map_or(1, |l| l.saturating_sub(start.next) + 1) as f64;
        let from = start.next;
        let mut shown = None;
        let mut progress = |n: u64| self.show_building(&mut shown, (n - from) as f64 / span);
        let mut next = match recover::feed(&mut start, &reading, &mut reader, &mut refill, &mut progress) {
            Err(DriverError::Stopped) => return Ok(()),
            fed => fed?,
        };
        let mut notes = vec![Note::Started { lane: "live".into(), at: wall_clock(), version: env!("CARGO_PKG_VERSION").into() }];
        let configuration = (start.definitions != version).then(|| self.definitions.to_configuration());
        if configuration.is_some() && !start.definitions.is_empty() {
            next = recover::retire(&mut start, next, &self.setup, &mut self.journal, (&self.spool, &mut kept), &mut notes)?;
            self.outbox.skip_to(self.journal.last_told());
        }
        start.lane.setup = self.setup.clone();
        self.show(&start, &early);
        self.telemetry.set_ready();
        self.drive(clock, start, reader, (checkpoints, rejected, late, kept), (next, notes, configuration))
    }

    /// Tells the page how far the state is built, a few times a second.
    fn show_building(&self, shown: &mut Option<std::time::Instant>, share: f64) {
        self.telemetry.set_built(share);
        if shown.is_some_and(|at| at.elapsed() < std::time::Duration::from_millis(250)) {
            return;
        }
        *shown = Some(std::time::Instant::now());
        let common = crate::server::wire::HealthView { built: share, ..Default::default() };
        let health = Some(Arc::new(crate::server::scope::HealthInput { parts: Vec::new(), common }));
        let tick = crate::server::board::BoardTick { health, ..Default::default() };
        let _ = self.runtime.block_on(self.hub.publish(Arc::new(tick)));
    }

    /// The picture of a state. `early`: alerts that were shown before; those that ended since leave it.
    fn show(&self, start: &Start, early: &[Alert]) {
        self.views.name_partitions(&start.names);
        let book = start.lane.core.book();
        let ended = early.iter().filter(|a| book.get(a.id).is_none());
        let end = |a: &Alert| {
            let mut a = a.clone();
            (a.condition, a.version) = (Condition::Inactive, a.version + 1);
            a
        };
        let ended = ended.map(end);
        let alerts: Vec<Alert> = book.iter().cloned().chain(ended).collect();
        let time = start.lane.core.time().map_or(0, |t| t.millis());
        let tick = crate::server::board::BoardTick {
            tick: TickView { number: start.next, time, live: false },
            rows: start.figures.values().map(|r| self.views.figure(r)).collect(),
            alerts: alerts.iter().map(|a| Arc::new(self.views.alert(a))).collect(),
            health: None,
        };
        for alert in alerts {
            self.alerts.put(alert);
        }
        self.cases.fill(start.lane.core.time().unwrap_or(Timestamp(0)), start.lane.core.cases().all());
        let _ = self.runtime.block_on(self.hub.publish(Arc::new(tick)));
    }

    fn drive(
        self,
        clock: Clock,
        start: Start,
        reader: Reader,
        (checkpoints, rejected, late, records): (Checkpoints, RejectedStore, LateStore, KeptAlerts),
        (number, notes, configuration): (u64, Vec<Note>, Option<crate::journal::Configuration>),
    ) -> anyhow::Result<()> {
        let kept = checkpoints.clone();
        let checkpoints = CheckpointThread::start(checkpoints)?;
        let checkpoint = CheckpointClock::new(checkpoints.cost().clone());
        let gate = Gate {
            journal: self.journal,
            spool: self.spool,
            rejected,
            late,
            records,
            redriven: self.judged,
            keeping: Keeping { checkpoints: kept, log: Span::days(i64::from(self.settings.log_days)), last: None },
            checkpoints,
            views: self.views,
            hub: self.hub,
            outbox: self.outbox,
            runtime: self.runtime,
            alerts: self.alerts,
            cases: self.cases,
            counters: self.telemetry.gate.clone(),
        };
        let (out, ticks) = sync_channel::<Outgoing>(QUEUE);
        let gate = std::thread::Builder::new().name("gate".into()).spawn(move || gate.run(&ticks))?;
        let driver = Driver {
            cutter: new_cutter(start.lane.core.time()),
            lane: start.lane,
            reader,
            clock,
            gate: out,
            actions: self.requests,
            telemetry: self.telemetry,
            stop: self.stop,
            exit_at_end: self.options.exit_at_end,
            figures: start.figures,
            number,
            names: start.names,
            definitions: self.definitions.version(),
            notes,
            lost: start.lost,
            configuration,
            checkpoint,
            reported: None,
            redriven: Vec::new(),
        };
        let driven = driver.run();
        match gate.join() {
            Ok(Ok(())) => Ok(driven?),
            Ok(Err(error)) => Err(error.into()),
            Err(_) => bail!("the gate's thread ended unexpectedly; its message is above"),
        }
    }
}

/// Offsets by partition that a reader starts from.
pub type Offsets = BTreeMap<crate::ingest::PartitionName, u64>;
