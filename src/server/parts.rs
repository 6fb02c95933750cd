//! What the server needs from the rest, as narrow traits that the composition root fulfils.
//!
//! Owns: [`ServerParts`], [`ServerSettings`], the questions asked of registry, store, journal, driver and log. Refuses to know: their answers' making.
//!
//! Invariants
//! 1. Every answer that may take time is a future with an error that names the cause; none may block the thread.
//! 2. What comes back is judged by scope again here, wherever it carries an area: nobody else has to remember to.
//!
//! Called by: the composition root (fills it), api, ws.

use crate::engine::{Act, AlertId};
use crate::notify::Outbox;
use crate::server::audit::Audit;
use crate::server::auth::Access;
use crate::server::cases::CaseShelf;
use crate::server::history::AlertRecords;
use crate::server::hub::Hub;
use crate::server::pipelines::PipelineShelf;
use crate::server::scope::{Scope, ScopeTree};
use crate::server::wire::{ActConflict, AlertDetail, AlertView, Catalog, ReplayCommand, SourceView, Timeline, TrendPoint};
use crate::store::late::{KeptLate, WantedLate};
use crate::store::pages::{RowsPage, RowsQuery};
use crate::store::rejected::{Kept, Redriven, Wanted};
use axum::extract::ws::Utf8Bytes;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

pub type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Everything the server stands on.
pub struct ServerParts {
    pub settings: ServerSettings,
    pub access: Arc<Access>,
    pub audit: Audit,
    pub hub: Hub,
    pub province: Arc<dyn Province>,
    pub trends: Arc<dyn TrendSource>,
    pub rows: Arc<dyn RowSource>,
    pub history: Arc<dyn AlertHistory>,
    pub records: AlertRecords,
    pub cases: Arc<CaseShelf>,
    pub sources: Arc<dyn SourceBook>,
    pub pipelines: Arc<PipelineShelf>,
    /// Alert changes for other programs.
    pub outbox: Arc<Outbox>,
    pub actions: ActionSink,
    pub door: Arc<dyn EventDoor>,
    pub refusals: Arc<dyn Refusals>,
    pub replays: Arc<dyn Replays>,
    pub probes: Arc<dyn Probes>,
}

#[derive(Clone, Debug)]
pub struct ServerSettings {
    /// Sent in the hello: "ioc 0.1.0".
    pub server: String,
    /// Origins besides the server's own: "https://ioc.example.vn". Their hosts are accepted as `Host` too.
    pub origins: Vec<String>,
    /// A proxy stands before the server: `X-Forwarded-Proto` and the last of `X-Forwarded-For` are believed.
    pub behind_proxy: bool,
    /// Cookies are always `Secure`.
    pub secure_cookies: bool,
    /// Of one event, in bytes.
    pub event_limit: usize,
    /// Of a batch of events, in bytes.
    pub batch_limit: usize,
    /// Bytes of events that may be on their way to the log at once.
    pub events_in_flight: usize,
    /// Websockets at once.
    pub clients: usize,
    /// The first frame of a websocket must come within this time.
    pub hello_within: Duration,
    /// So often an open websocket asks whether its pass still holds.
    pub look_again: Duration,
}

impl Default for ServerSettings {
    fn default() -> Self {
        ServerSettings {
            server: concat!("ioc ", env!("CARGO_PKG_VERSION")).to_owned(),
            origins: Vec::new(),
            behind_proxy: false,
            secure_cookies: false,
            event_limit: 1 << 20,
            batch_limit: 8 << 20,
            events_in_flight: 64 << 20,
            clients: 2_000,
            hello_within: Duration::from_secs(5),
            look_again: Duration::from_secs(5),
        }
    }
}

/// The registry and the pipelines in force, as the page needs them.
pub trait Province: ScopeTree {
    fn catalog(&self) -> Arc<Catalog>;
    /// The areas in force now, deepest level.
    fn areas(&self) -> Arc<Vec<AreaShape>>;
    /// The registered area of a source.
    fn source_area(&self, source: &str) -> Option<String>;
}

/// An area as it is drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct AreaShape {
    pub code: String,
    pub name: String,
    pub level: String,
    pub parent: Option<String>,
    /// A GeoJSON geometry object.
    pub geometry: Arc<str>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct TrendQuery {
    pub measurement: String,
    pub field: String,
    /// All tags of the measurement: one series.
    pub tags: BTreeMap<String, String>,
    /// Window starts in [from, to), ms since 1970.
    pub from: i64,
    pub to: i64,
    /// So many points at most.
    pub limit: usize,
}

/// The store, for charts.
pub trait TrendSource: Send + Sync + 'static {
    /// The newest revision of each window, by start.
    fn trend(&self, query: TrendQuery) -> Answer<'_, Result<Vec<TrendPoint>, SourceError>>;
}

/// The store, for rows by the page.
pub trait RowSource: Send + Sync + 'static {
    fn page(&self, query: RowsQuery) -> Answer<'_, Result<RowsPage, SourceError>>;
}

/// Alerts held in memory, for how each came to be.
pub trait AlertHistory: Send + Sync + 'static {
    fn detail(&self, id: AlertId) -> Answer<'_, Result<Option<AlertDetail>, SourceError>>;
}

/// The engine and the registry, for who sends what.
pub trait SourceBook: Send + Sync + 'static {
    /// All sources as of the newest tick, in the order of their ids, and tick time in ms.
    fn sources(&self) -> Answer<'_, Result<(i64, Vec<SourceView>), SourceError>>;
}

#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum SourceError {
    /// It cannot be reached just now.
    #[error("{0}")]
    Unavailable(String),
    #[error("{0}")]
    Failed(String),
}

/// To the driver. What is sent becomes an action of the next tick.
pub type ActionSink = mpsc::Sender<ActionRequest>;

/// One act of an operator on its way, on one alert or on several: all in one tick. The driver adds the time (`Action::at`).
#[derive(Debug)]
pub struct ActionRequest {
    /// With the version that was seen.
    pub alerts: Vec<(AlertId, u32)>,
    pub by: String,
    pub note: String,
    pub act: Act,
    /// Answered only after the action's tick is durable (D2).
    pub answer: oneshot::Sender<ActionAnswer>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum ActionAnswer {
    /// In the order of the request's alerts.
    Handled(Vec<Handled>),
    /// The journal cannot be written.
    Failed(String),
}

/// What became of an act on one alert.
#[derive(Clone, Debug, PartialEq)]
pub enum Handled {
    /// Carried out; the alert after it.
    Done(Arc<AlertView>),
    /// The alert has changed since it was seen, or the act makes no sense now: as it is, and why.
    Refused(Arc<ActConflict>),
    /// No such alert.
    Unknown,
}

/// The log's door for events over HTTP.
pub trait EventDoor: Send + Sync + 'static {
    /// All records become durable, or an error says that none of them counts as taken.
    fn append(&self, records: Vec<DoorRecord>) -> Answer<'_, Result<(), DoorError>>;
}

/// One event as the log takes it; headers as in the Kafka protocol binding of CloudEvents.
#[derive(Clone, Debug, PartialEq)]
pub struct DoorRecord {
    /// `partitionkey`, else `subject`, else `source` (R4).
    pub key: String,
    /// Structured: `content-type: application/cloudevents+json`. Binary: `ce_id`, `ce_source`, …, `content-type`.
    pub headers: Vec<(String, Bytes)>,
    pub body: Bytes,
}

#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum DoorError {
    /// The log takes nothing more just now.
    #[error("the log is busy")]
    Busy { retry_after: Duration },
    #[error("{0}")]
    Unavailable(String),
}

/// What was refused (D5), what came late (T4), and driving refused records again.
pub trait Refusals: Send + Sync + 'static {
    fn rejected(&self, wanted: Wanted) -> Answer<'_, Result<Vec<Kept>, SourceError>>;
    fn one(&self, number: i64) -> Answer<'_, Result<Option<Kept>, SourceError>>;
    fn late(&self, wanted: WantedLate) -> Answer<'_, Result<Vec<KeptLate>, SourceError>>;
    /// The original bytes enter the log anew. Answered with their verdicts, or with none where they are not judged soon.
    fn redrive(&self, records: Vec<Kept>, by: String) -> Answer<'_, Result<Vec<Redriven>, SourceError>>;
}

/// The past, for analysts.
pub trait Replays: Send + Sync + 'static {
    /// A replay of its own, in this scope.
    fn open(&self, scope: Scope) -> Result<ReplayLine, ReplayRefused>;
    /// Between two moments, in ms since 1970; `None`: as far as the past reaches.
    fn timeline(&self, scope: Scope, from: Option<i64>, to: Option<i64>) -> Answer<'_, Result<Timeline, SourceError>>;
}

/// The two ends of one replay. It ends when they are dropped.
pub struct ReplayLine {
    pub commands: SyncSender<ReplayCommand>,
    pub frames: mpsc::Receiver<Utf8Bytes>,
}

#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum ReplayRefused {
    #[error("{0} replays are under way, as many as there may be at once; close one, or wait until one is closed")]
    Full(usize),
    #[error("{0}")]
    Failed(String),
}

/// Questions of those who watch the process.
pub trait Probes: Send + Sync + 'static {
    /// State built and log readable; else what is missing.
    fn ready(&self) -> Result<(), String>;
    /// Prometheus text.
    fn metrics(&self) -> String;
}
