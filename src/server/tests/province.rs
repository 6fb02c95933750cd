//! A small province with everything the server asks for, and requests to it without a network.

use crate::definitions::Definitions;
use crate::notify::Outbox;
use crate::server::audit::Audit;
use crate::server::auth::tokens::{NewToken, create};
use crate::server::auth::{Access, WallClock};
use crate::server::cases::CaseShelf;
use crate::server::history::AlertRecords;
use crate::server::hub::{Hub, HubLimits};
use crate::server::pipelines::PipelineShelf;
use crate::server::scope::{Scope, ScopeTree};
use crate::server::wire::*;
use crate::server::*;
use crate::store::late::{KeptLate, WantedLate};
use crate::store::line::StoredRow;
use crate::store::pages::{RowsPage as StoredPage, RowsQuery};
use crate::store::rejected::{Kept, Redriven, Wanted};
use crate::time::Timestamp;
use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::mpsc;
use tower::ServiceExt;

/// Parent by code; a group is a parent like any other here.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    pub parents: BTreeMap<String, String>,
    pub sources: BTreeMap<String, String>,
    pub catalog: Catalog,
}

impl ScopeTree for Tree {
    fn within(&self, area: &str, allowed: &str) -> bool {
        let mut at = Some(area);
        while let Some(code) = at {
            if code == allowed {
                return true;
            }
            at = self.parents.get(code).map(String::as_str);
        }
        false
    }
}

impl Province for Tree {
    fn catalog(&self) -> Arc<Catalog> {
        Arc::new(self.catalog.clone())
    }

    fn areas(&self) -> Arc<Vec<AreaShape>> {
        let shape = |(code, parent): (&String, &String)| AreaShape {
            code: code.clone(),
            name: format!("Phường {code}"),
            level: "commune".into(),
            parent: Some(parent.clone()),
            geometry: r#"{"type":"Point","coordinates":[107.7,12.0]}"#.into(),
        };
        Arc::new(self.parents.iter().map(shape).collect())
    }

    fn source_area(&self, source: &str) -> Option<String> {
        self.sources.get(source).cloned()
    }
}

pub fn measurement(name: &str, sector: &str, tags: &[&str]) -> MeasurementView {
    MeasurementView {
        measurement: name.into(),
        pipeline: name.into(),
        sector: sector.into(),
        every_ms: 60_000,
        tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        fields: vec![FieldView { field: "speed".into(), unit: "km/h".into() }],
    }
}

/// The store of the tests: remembers what it was asked, answers one point.
#[derive(Default)]
pub struct Store {
    pub asked: Mutex<Vec<TrendQuery>>,
    /// Details by id.
    pub details: Mutex<BTreeMap<String, AlertDetail>>,
    pub appended: Mutex<Vec<DoorRecord>>,
    /// What the door answers instead of taking.
    pub door: Mutex<Option<DoorError>>,
    pub not_ready: Mutex<Option<String>>,
    pub sources: Mutex<Vec<SourceView>>,
    /// By (start, tags).
    pub rows: Mutex<Vec<StoredRow>>,
    /// Oldest first.
    pub refused: Mutex<Vec<Kept>>,
    /// Replays under way.
    pub replays: Arc<AtomicI64>,
}

impl SourceBook for Store {
    fn sources(&self) -> Answer<'_, Result<(i64, Vec<SourceView>), SourceError>> {
        let sources = self.sources.lock().unwrap().clone();
        Box::pin(async move { Ok((1_000, sources)) })
    }
}

impl TrendSource for Store {
    fn trend(&self, query: TrendQuery) -> Answer<'_, Result<Vec<TrendPoint>, SourceError>> {
        let start = query.from;
        self.asked.lock().unwrap().push(query);
        Box::pin(async move { Ok(vec![TrendPoint { start, value: Some(1.0), state: RowState::Final, revision: 0 }]) })
    }
}

impl RowSource for Store {
    fn page(&self, query: RowsQuery) -> Answer<'_, Result<StoredPage, SourceError>> {
        let rows =
            self.rows.lock().unwrap().iter().filter(|r| r.measurement == query.measurement && query.takes(&r.tags)).cloned().collect();
        Box::pin(async move { Ok(StoredPage { rows, next: None }) })
    }
}

impl AlertHistory for Store {
    fn detail(&self, id: crate::engine::AlertId) -> Answer<'_, Result<Option<AlertDetail>, SourceError>> {
        let detail = self.details.lock().unwrap().get(&id.to_string()).cloned();
        Box::pin(async move { Ok(detail) })
    }
}

impl EventDoor for Store {
    fn append(&self, records: Vec<DoorRecord>) -> Answer<'_, Result<(), DoorError>> {
        let refused = self.door.lock().unwrap().clone();
        if refused.is_none() {
            self.appended.lock().unwrap().extend(records);
        }
        Box::pin(async move { refused.map_or(Ok(()), Err) })
    }
}

impl Refusals for Store {
    fn rejected(&self, wanted: Wanted) -> Answer<'_, Result<Vec<Kept>, SourceError>> {
        let kept: Vec<Kept> = self.refused.lock().unwrap().iter().rev().cloned().collect();
        let before = wanted.before.unwrap_or(i64::MAX);
        Box::pin(async move { Ok(kept.into_iter().filter(|k| k.number < before).take(wanted.limit).collect()) })
    }

    fn one(&self, number: i64) -> Answer<'_, Result<Option<Kept>, SourceError>> {
        let kept = self.refused.lock().unwrap().iter().find(|k| k.number == number).cloned();
        Box::pin(async move { Ok(kept) })
    }

    fn late(&self, _wanted: WantedLate) -> Answer<'_, Result<Vec<KeptLate>, SourceError>> {
        Box::pin(async move { Ok(Vec::new()) })
    }

    fn redrive(&self, records: Vec<Kept>, by: String) -> Answer<'_, Result<Vec<Redriven>, SourceError>> {
        let driven = |k: &Kept| Redriven {
            ticket: k.number * 10,
            number: k.number,
            at: Timestamp::from_millis(5),
            by: by.clone(),
            place: None,
            verdict: Some("accepted".into()),
            verdicts: BTreeMap::new(),
            reason: None,
        };
        let driven = records.iter().map(driven).collect();
        Box::pin(async move { Ok(driven) })
    }
}

impl Replays for Store {
    /// It tells of each command where it would be.
    fn open(&self, scope: Scope) -> Result<ReplayLine, ReplayRefused> {
        let (commands, told) = std::sync::mpsc::sync_channel(8);
        let (frames_in, frames) = mpsc::channel(8);
        let open = self.replays.clone();
        if open.fetch_add(1, Ordering::SeqCst) >= 2 {
            open.fetch_sub(1, Ordering::SeqCst);
            return Err(ReplayRefused::Full(2));
        }
        std::thread::spawn(move || {
            while let Ok(command) = told.recv() {
                let at = match command {
                    ReplayCommand::Open { at, .. } | ReplayCommand::Seek { at } => at,
                    _ => 0,
                };
                let note = Some(Text { vi: scope.name(), en: String::new() });
                let state = ReplayState { at, oldest: 0, newest: 9, speed: 0.0, playing: false, building: 1.0, note };
                let frame = crate::server::hub::encode(&ServerMessage::Replay(state)).unwrap();
                if frames_in.blocking_send(frame).is_err() {
                    break;
                }
            }
            open.fetch_sub(1, Ordering::SeqCst);
        });
        Ok(ReplayLine { commands, frames })
    }

    fn timeline(&self, scope: Scope, from: Option<i64>, to: Option<i64>) -> Answer<'_, Result<Timeline, SourceError>> {
        let mark = |id: &str| TimelineAlert { id: id.into(), severity: Severity::Major, at: 5, resolved: None };
        let alerts = ["ward", "village"].into_iter().filter(|area| scope.sees("traffic", Some(area))).map(mark).collect();
        let (oldest, newest) = (from.unwrap_or(1), to.unwrap_or(9));
        Box::pin(async move { Ok(Timeline { oldest, newest, alerts, ..Timeline::default() }) })
    }
}

impl Probes for Store {
    fn ready(&self) -> Result<(), String> {
        self.not_ready.lock().unwrap().clone().map_or(Ok(()), Err)
    }

    fn metrics(&self) -> String {
        "# HELP ioc_up Always 1\nioc_up 1\n# EOF\n".into()
    }
}

/// A server in the making, with handles to all it stands on.
pub struct World {
    pub folder: tempfile::TempDir,
    pub now: Arc<AtomicI64>,
    pub tree: Tree,
    pub store: Arc<Store>,
    pub cases: Arc<CaseShelf>,
    pub pipelines: Arc<PipelineShelf>,
    pub outbox: Arc<Outbox>,
    pub settings: ServerSettings,
    pub actions: mpsc::Receiver<ActionRequest>,
    actions_in: ActionSink,
    pub limits: HubLimits,
}

impl World {
    pub fn new() -> World {
        let parents = [("ward", "town"), ("village", "land"), ("town", "province"), ("land", "province")];
        let catalog = Catalog {
            time_zone: "Asia/Ho_Chi_Minh".into(),
            sectors: ["traffic", "water"].iter().map(|code| SectorView { code: (*code).into(), name: Text::default() }).collect(),
            measurements: vec![
                measurement("traffic_loop", "traffic", &["area", "source"]),
                measurement("traffic_travel", "traffic", &["source"]),
                measurement("water_level", "water", &["area", "source"]),
            ],
            rules: vec![],
            areas: ["ward", "village"]
                .iter()
                .map(|code| AreaName { code: (*code).into(), name: (*code).into(), level: "commune".into() })
                .collect(),
            groups: vec![
                GroupView {
                    code: "old".into(),
                    name: Text::default(),
                    level: "former-district".into(),
                    members: vec!["ward".into(), "village".into()],
                },
                GroupView { code: "far".into(), name: Text::default(), level: "former-district".into(), members: vec!["village".into()] },
            ],
            ..Catalog::default()
        };
        let tree = Tree {
            parents: parents.into_iter().map(|(code, parent)| (code.to_owned(), parent.to_owned())).collect(),
            sources: BTreeMap::from([("loop-1".to_owned(), "ward".to_owned()), ("loop-2".to_owned(), "village".to_owned())]),
            catalog,
        };
        let (actions_in, actions) = mpsc::channel(8);
        let setup = Arc::new(Definitions::default().compile(None).unwrap());
        let folder = tempfile::tempdir().unwrap();
        World {
            outbox: Arc::new(Outbox::new(folder.path(), 0)),
            folder,
            now: Arc::new(AtomicI64::new(1_700_000_000_000)),
            tree,
            store: Arc::default(),
            cases: Arc::new(CaseShelf::new(setup.clone())),
            pipelines: Arc::new(PipelineShelf::new(setup, &Definitions::default())),
            settings: ServerSettings::default(),
            actions,
            actions_in,
            limits: HubLimits::default(),
        }
    }

    pub fn clock(&self) -> WallClock {
        let now = self.now.clone();
        Arc::new(move || Timestamp::from_millis(now.load(Ordering::SeqCst)))
    }

    /// Makes a token.
    pub fn token(&self, name: &str, role: Role, areas: &[&str], sectors: &[&str]) -> String {
        let own = |list: &[&str]| list.iter().map(|code| (*code).to_owned()).collect();
        let new = NewToken { name: name.into(), role, areas: own(areas), sectors: own(sectors), expires: None };
        create(self.folder.path(), new, (self.clock())()).unwrap().0
    }

    /// The parts of a server; within a runtime.
    pub fn parts(&self) -> ServerParts {
        ServerParts {
            settings: self.settings.clone(),
            access: Arc::new(Access::load(self.folder.path(), !self.settings.behind_proxy, self.clock()).unwrap()),
            audit: Audit::open(self.folder.path()).unwrap(),
            hub: Hub::start(self.limits, "building".into()),
            province: Arc::new(self.tree.clone()),
            trends: self.store.clone(),
            rows: self.store.clone(),
            history: self.store.clone(),
            records: AlertRecords::new(self.folder.path()),
            cases: self.cases.clone(),
            sources: self.store.clone(),
            pipelines: self.pipelines.clone(),
            outbox: self.outbox.clone(),
            actions: self.actions_in.clone(),
            door: self.store.clone(),
            refusals: self.store.clone(),
            replays: self.store.clone(),
            probes: self.store.clone(),
        }
    }
}

/// One request; `Host` is there unless the builder named another.
pub async fn send(router: &axum::Router, mut request: Request<Body>) -> axum::response::Response {
    let host = axum::http::HeaderValue::from_static("127.0.0.1:8080");
    request.headers_mut().entry(header::HOST).or_insert(host);
    router.clone().oneshot(request).await.unwrap()
}

pub async fn text(response: axum::response::Response) -> (StatusCode, String) {
    let status = response.status();
    let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
    (status, String::from_utf8(bytes.to_vec()).unwrap())
}

pub async fn get(router: &axum::Router, path: &str, token: &str) -> (StatusCode, String) {
    let mut request = Request::get(path);
    if !token.is_empty() {
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    text(send(router, request.body(Body::empty()).unwrap()).await).await
}

pub fn problem_code(body: &str) -> String {
    let problem: Problem = serde_json::from_str(body).unwrap();
    assert!(!problem.message.vi.is_empty() && !problem.message.en.is_empty());
    problem.code
}
