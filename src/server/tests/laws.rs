//! The law of scope and the law of resume, as properties over random trees, scopes, alerts, figures and cuts.

use super::fixtures::*;
use super::province::{Tree, World, get, measurement};
use crate::definitions::Definitions;
use crate::engine::FieldValue;
use crate::server::board::{BoardLimits, BoardTick, FigureInput, leaves_at};
use crate::server::history::KeptAlerts;
use crate::server::hub::fanout::{Fanout, First, Joined};
use crate::server::hub::{Frames, HubLimits};
use crate::server::pipelines::PipelineShelf;
use crate::server::scope::{Scope, ScopeTree};
use crate::server::wire::*;
use crate::store::line::StoredRow;
use crate::time::Timestamp;
use axum::http::StatusCode;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

const SECTORS: [&str; 3] = ["traffic", "water", "waste"];
const OUTSIDE: usize = usize::MAX;

#[derive(Clone, Debug)]
enum Op {
    /// ms until then, rows as (sector, area, source, window), alerts as (number, kind of change).
    Tick { wait: u64, rows: Vec<(usize, usize, usize, i64)>, alerts: Vec<(u32, u8)> },
    /// The client takes what has come so far.
    Read,
    /// The line breaks, what waits is lost, the client comes back.
    Cut,
}

#[derive(Clone, Debug)]
struct Plan {
    /// Parent of area i + 1 among the areas before it.
    parents: Vec<usize>,
    areas: Vec<usize>,
    sectors: BTreeSet<usize>,
    ops: Vec<Op>,
}

fn plans() -> impl Strategy<Value = Plan> {
    let index = || any::<prop::sample::Index>();
    (prop::collection::vec(index(), 1..10), prop::collection::vec(index(), 0..3), prop::collection::btree_set(0..3usize, 0..3))
        .prop_flat_map(move |(parents, areas, sectors)| {
            let count = parents.len() + 1;
            let parents: Vec<usize> = parents.iter().enumerate().map(|(i, parent)| parent.index(i + 1)).collect();
            let areas: Vec<usize> = areas.iter().map(|area| area.index(count)).collect();
            let place = prop_oneof![6 => 0..count, 1 => Just(OUTSIDE)];
            let row = (0..3usize, place, 0..2usize, 0..3i64);
            let ticks = (0..400u64, prop::collection::vec(row, 0..4), prop::collection::vec((0..12u32, 0..5u8), 0..3));
            let op = prop_oneof![
                8 => ticks.prop_map(|(wait, rows, alerts)| Op::Tick { wait, rows, alerts }),
                2 => Just(Op::Read),
                2 => Just(Op::Cut),
            ];
            prop::collection::vec(op, 1..40).prop_map(move |ops| Plan {
                parents: parents.clone(),
                areas: areas.clone(),
                sectors: sectors.clone(),
                ops,
            })
        })
}

fn code(area: usize) -> String {
    if area == OUTSIDE { "outside".to_owned() } else { format!("a{area}") }
}

impl Plan {
    fn tree(&self) -> Tree {
        let parents = self.parents.iter().enumerate().map(|(i, parent)| (code(i + 1), code(*parent))).collect();
        let measurements = SECTORS.iter().map(|sector| measurement(&format!("m_{sector}"), sector, &["area", "source"])).collect();
        let catalog = Catalog { measurements, ..Catalog::default() };
        Tree { parents, catalog, ..Tree::default() }
    }

    fn scope(&self) -> Scope {
        let areas: Vec<String> = self.areas.iter().map(|area| code(*area)).collect();
        let sectors: Vec<String> = self.sectors.iter().map(|sector| SECTORS[*sector].to_owned()).collect();
        Scope::new(&areas, &sectors, Arc::new(self.tree()) as Arc<dyn ScopeTree>)
    }

    /// What may be seen, decided another way than the server does: from the allowed areas downwards.
    fn sees(&self, sector: &str, area: Option<&str>) -> bool {
        let mut below: BTreeSet<usize> = self.areas.iter().copied().collect();
        for (i, parent) in self.parents.iter().enumerate() {
            if below.contains(parent) {
                below.insert(i + 1);
            }
        }
        let area_seen = self.areas.is_empty() || area.is_some_and(|area| below.iter().any(|each| code(*each) == area));
        area_seen && self.sees_sector(sector)
    }

    fn sees_sector(&self, sector: &str) -> bool {
        self.sectors.is_empty() || self.sectors.iter().any(|each| SECTORS[*each] == sector)
    }

    /// A pipeline a sector.
    fn pipelines(&self) -> PipelineShelf {
        let file = |sector: &str| {
            let text = format!(
                "pipeline: p_{sector}\nsector: {sector}\nfrom: [t.a]\nout_of_orderness: 5s\nlateness: 1m\nwindows:\n  - {{measurement: m_{sector}, every: 1m, by: [area, source], fields: {{n: count()}}}}\n"
            );
            (format!("pipelines/{sector}.yaml"), text)
        };
        let definitions = Definitions { files: SECTORS.iter().map(|sector| file(sector)).collect() };
        PipelineShelf::new(Arc::new(definitions.compile(None).unwrap()), &definitions)
    }

    fn sees_alert(&self, alert: &AlertView) -> bool {
        self.sees(&alert.sector, alert.area.as_ref().map(|area| area.code.as_str()))
    }

    fn sees_figure(&self, figure: &FigureView) -> bool {
        self.sees(&figure.measurement[2..], figure.area.as_ref().map(|area| area.code.as_str()))
    }
}

/// Everything that has been, kept naively.
#[derive(Default)]
struct Past {
    number: u64,
    time: i64,
    alerts: BTreeMap<String, AlertView>,
    changes: Vec<AlertView>,
    figures: BTreeMap<(String, Vec<(String, String)>), FigureView>,
}

impl Past {
    fn tick(&mut self, plan: &Plan, rows: &[(usize, usize, usize, i64)], alerts: &[(u32, u8)]) -> BoardTick {
        self.number += 1;
        self.time += 90_000;
        let rows: Vec<FigureInput> = rows.iter().map(|row| self.row(*row)).collect();
        let alerts: Vec<AlertView> = alerts.iter().map(|(number, kind)| self.alert(plan, *number, *kind)).collect();
        let mut tick = tick(self.number, rows, alerts);
        tick.tick.time = self.time;
        tick
    }

    fn row(&mut self, (sector, area, source, window): (usize, usize, usize, i64)) -> FigureInput {
        let name = format!("m_{}", SECTORS[sector]);
        let mut row = figure(&name, SECTORS[sector], &code(area), &format!("s{source}"), window * 60_000, self.number as f64);
        Arc::make_mut(&mut row.view).revision = u32::try_from(self.number).unwrap();
        let key = (name, row.view.key.clone().into_iter().collect());
        let held = self.figures.get(&key).map_or(i64::MIN, |held| held.start);
        if row.view.start >= held {
            self.figures.insert(key, FigureView::clone(&row.view));
        }
        row
    }

    fn alert(&mut self, plan: &Plan, number: u32, kind: u8) -> AlertView {
        let places = plan.parents.len() + 2;
        let place = number as usize % places;
        let area = code(if place == places - 1 { OUTSIDE } else { place });
        let version = self.alerts.get(&id(number)).map_or(1, |held| held.version + 1);
        let mut alert = alert(number, version, SECTORS[number as usize % 3], &area);
        alert.changed = self.time;
        alert.since = 1_000 + i64::from(number % 4);
        (alert.condition, alert.handling) = match kind {
            0 => (Condition::Resolved, Handling::Acknowledged),
            1 => (Condition::Inactive, Handling::New),
            2 => (Condition::Resolved, Handling::New),
            3 => (Condition::Pending, Handling::New),
            _ => (Condition::Firing, Handling::New),
        };
        self.alerts.insert(alert.id.clone(), alert.clone());
        self.changes.push(alert.clone());
        alert
    }

    /// The alerts that are to be seen now.
    fn standing(&self, plan: &Plan) -> BTreeMap<String, AlertView> {
        let stands = |alert: &&AlertView| leaves_at(alert).is_none_or(|when| when > self.time) && plan.sees_alert(alert);
        self.alerts.values().filter(stands).map(|alert| (alert.id.clone(), alert.clone())).collect()
    }
}

struct Client {
    picture: Picture,
    frames: Frames,
    epoch: String,
    snapshots: usize,
}

impl Client {
    fn join(fanout: &mut Fanout, now: Duration, scope: &Scope) -> Client {
        let Joined { epoch, first, frames } = fanout.join(now, scope, None);
        let mut client = Client { picture: Picture::default(), frames, epoch, snapshots: 0 };
        client.first(first);
        client
    }

    fn first(&mut self, first: First) {
        match first {
            First::Snapshot(snapshot) => {
                self.snapshots += 1;
                self.picture.snapshot(&snapshot);
            }
            First::Resumed(update) => self.picture.update(&update),
        }
    }

    fn read(&mut self, plan: &Plan) {
        while let Some(frame) = self.frames.try_next() {
            check_scope(plan, &frame);
            self.picture.message(&frame);
        }
    }

    fn cut(&mut self, fanout: &mut Fanout, now: Duration, scope: &Scope) {
        let resume = Resume { epoch: self.epoch.clone(), seq: self.picture.seq };
        let joined = fanout.join(now, scope, Some(&resume));
        self.frames = joined.frames;
        self.first(joined.first);
    }
}

/// Nothing outside the scope is in a frame.
fn check_scope(plan: &Plan, frame: &str) {
    let ServerMessage::Update(update) = serde_json::from_str(frame).unwrap() else { panic!("{frame}") };
    assert!(update.alerts.iter().all(|alert| plan.sees_alert(alert)), "{frame}");
    assert!(update.figures.iter().all(|figure| plan.sees_figure(figure)), "{frame}");
}

/// Runs a plan; returns (an uncut client, one that was cut, what has been).
fn run(plan: &Plan, ring: usize) -> (Client, Client, Past) {
    let board = BoardLimits { ring, ..BoardLimits::default() };
    let mut fanout = Fanout::new(board, HubLimits::default().seat, "b".into(), Arc::default());
    let (scope, mut world, mut now) = (plan.scope(), Past::default(), Duration::ZERO);
    let mut uncut = Client::join(&mut fanout, now, &scope);
    let mut cut = Client::join(&mut fanout, now, &scope);
    for op in &plan.ops {
        match op {
            Op::Tick { wait, rows, alerts } => {
                let then = now + Duration::from_millis(*wait);
                while let Some(due) = fanout.due().filter(|due| *due <= then) {
                    fanout.wake(due.max(now));
                }
                now = then;
                fanout.apply(now, &world.tick(plan, rows, alerts));
            }
            Op::Read => cut.read(plan),
            Op::Cut => cut.cut(&mut fanout, now, &scope),
        }
        uncut.read(plan);
    }
    fanout.wake(now + Duration::from_secs(1));
    cut.read(plan);
    uncut.read(plan);
    (uncut, cut, world)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Issue 4, point 7: "resume after a cut without loss or repeat, else a new snapshot; alerts lossless".
    #[test]
    fn resume_after_a_cut_without_loss_or_repeat_else_a_new_snapshot(plan in plans(), short in any::<bool>()) {
        let (uncut, cut, world) = run(&plan, if short { 2 } else { 4096 });
        let changes: Vec<(String, u32)> = world.changes.iter().filter(|alert| plan.sees_alert(alert)).map(|alert| (alert.id.clone(), alert.version)).collect();
        prop_assert_eq!(&uncut.picture.told, &changes, "an uncut client is told every change once, in order");
        prop_assert_eq!(cut.picture.shown(), uncut.picture.shown());
        prop_assert_eq!(cut.picture.tick, uncut.picture.tick);
        if !short {
            prop_assert_eq!(cut.snapshots, 1);
            prop_assert_eq!(&cut.picture.told, &changes, "no change lost or repeated over the cuts");
        }
    }

    /// Issue 4, point 7: "a token scoped to areas × sectors sees only those, enforced on the server for REST and for every frame":
    /// nothing outside, everything inside. Here: snapshot, updates, resume.
    #[test]
    fn a_scope_of_areas_and_sectors_sees_only_those_and_all_of_those_in_every_frame_over_random_trees(plan in plans()) {
        let (uncut, cut, world) = run(&plan, 4096);
        let figures: BTreeMap<_, _> = world.figures.iter().filter(|(_, figure)| plan.sees_figure(figure)).map(|(key, figure)| (key.clone(), figure.clone())).collect();
        for client in [&uncut, &cut] {
            prop_assert_eq!(&client.picture.alerts, &world.standing(&plan));
            prop_assert_eq!(&client.picture.figures, &figures);
        }
        let mut fanout = Fanout::new(BoardLimits::default(), HubLimits::default().seat, "b".into(), Arc::default());
        let mut again = Past::default();
        for op in &plan.ops {
            if let Op::Tick { rows, alerts, .. } = op {
                fanout.apply(Duration::ZERO, &again.tick(&plan, rows, alerts));
            }
        }
        let late = Client::join(&mut fanout, Duration::ZERO, &plan.scope());
        prop_assert_eq!(late.picture.shown(), uncut.picture.shown(), "a snapshot shows what the updates made");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// The same for REST: alerts, alert, trend, rows, sources, areas.
    #[test]
    fn a_token_scoped_to_areas_and_sectors_sees_only_those_and_all_of_those_over_rest_over_random_trees(plan in plans()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(check_rest(&plan));
    }
}

/// A figure as the store has it.
fn stored(figure: &FigureView) -> StoredRow {
    StoredRow {
        measurement: figure.measurement.clone(),
        tags: figure.key.clone().into_iter().collect(),
        start: Timestamp::from_millis(figure.start),
        fields: vec![("n".into(), FieldValue::Int(1))],
        revision: 0,
        state: crate::engine::RowState::Final,
    }
}

async fn check_rest(plan: &Plan) {
    let mut world = World::new();
    world.tree = plan.tree();
    let areas: Vec<String> = plan.areas.iter().map(|area| code(*area)).collect();
    let areas: Vec<&str> = areas.iter().map(String::as_str).collect();
    let sectors: Vec<&str> = plan.sectors.iter().map(|sector| SECTORS[*sector]).collect();
    let token = world.token("local", Role::Viewer, &areas, &sectors);
    let places: Vec<Option<String>> = std::iter::once(None).chain((1..=plan.parents.len()).map(|area| Some(code(area)))).collect();
    let of_place = |place: &Option<String>| {
        let area = place.as_ref().map(|code| AreaRef { code: code.clone(), name: String::new() });
        let of_sector = |sector: &&str| SourceView { area: area.clone(), ..source("s", Some(sector), None) };
        SECTORS.iter().map(of_sector).collect::<Vec<_>>()
    };
    let sources: Vec<SourceView> = places.iter().flat_map(of_place).collect();
    *world.store.sources.lock().unwrap() = sources.clone();
    world.pipelines = Arc::new(plan.pipelines());
    let parts = world.parts();
    let (hub, mut been) = (parts.hub.clone(), Past::default());
    let router = crate::server::router(parts);
    for op in &plan.ops {
        if let Op::Tick { rows, alerts, .. } = op {
            hub.publish(Arc::new(been.tick(plan, rows, alerts))).await.unwrap();
        }
    }
    *world.store.rows.lock().unwrap() = been.figures.values().map(stored).collect();
    let (status, body) = get(&router, "/api/v1/alerts", &token).await;
    assert_eq!(status, StatusCode::OK);
    let listed: Vec<AlertView> = serde_json::from_str(&body).unwrap();
    let listed: BTreeMap<String, AlertView> = listed.into_iter().map(|alert| (alert.id.clone(), alert)).collect();
    let standing = been.standing(plan);
    assert_eq!(listed, standing);
    for alert in been.alerts.keys() {
        let (status, _) = get(&router, &format!("/api/v1/alerts/{alert}"), &token).await;
        assert_eq!(status == StatusCode::OK, standing.contains_key(alert), "{alert}: {status}");
    }
    check_history(plan, &world, &router, &token, &been).await;
    for figure in been.figures.values() {
        let (area, source) = (&figure.key["area"], &figure.key["source"]);
        let path =
            format!("/api/v1/trend?measurement={}&field=speed&from=0&to=60000&tag.area={area}&tag.source={source}", figure.measurement);
        let (status, _) = get(&router, &path, &token).await;
        let expected = if plan.sees_figure(figure) { StatusCode::OK } else { StatusCode::NOT_FOUND };
        assert_eq!(status, expected, "{path}");
    }
    for sector in SECTORS {
        let (status, body) = get(&router, &format!("/api/v1/rows?measurement=m_{sector}&from=0&to=1000000000"), &token).await;
        assert_eq!(status == StatusCode::OK, plan.sees_sector(sector), "{sector}: {status}");
        let Ok(page) = serde_json::from_str::<RowsPage>(&body) else { continue };
        let found: BTreeSet<_> = page.rows.iter().map(|row| row.tags.clone()).collect();
        let seen = been.figures.values().filter(|f| f.measurement == format!("m_{sector}") && plan.sees_figure(f));
        assert_eq!(found, seen.map(|f| f.key.clone()).collect(), "rows of m_{sector}");
    }
    let (_, body) = get(&router, "/api/v1/sources", &token).await;
    let now: SourcesNow = serde_json::from_str(&body).unwrap();
    let seen = |s: &SourceView| plan.sees(s.sector.as_deref().unwrap_or(""), s.area.as_ref().map(|a| a.code.as_str()));
    assert_eq!(now.sources, sources.into_iter().filter(seen).collect::<Vec<_>>());
    let (_, body) = get(&router, "/api/v1/areas", &token).await;
    let drawn: serde_json::Value = serde_json::from_str(&body).unwrap();
    let drawn: BTreeSet<&str> =
        drawn["features"].as_array().unwrap().iter().map(|each| each["properties"]["code"].as_str().unwrap()).collect();
    let any_sector = Plan { sectors: BTreeSet::new(), ..plan.clone() };
    let seen: Vec<String> = (1..=plan.parents.len()).map(code).filter(|code| any_sector.sees("traffic", Some(code))).collect();
    assert_eq!(drawn, seen.iter().map(String::as_str).collect());
}

/// All alerts there were: in pages, whole, and one by one after they left the picture.
async fn check_history(plan: &Plan, world: &World, router: &axum::Router, token: &str, been: &Past) {
    let details: Vec<AlertDetail> = been.alerts.values().cloned().map(detail).collect();
    KeptAlerts::open(world.folder.path()).unwrap().keep(Some(been.number), &details).unwrap();
    let lasts = |alert: &&AlertView| alert.condition != Condition::Inactive;
    let mut seen: Vec<AlertView> = been.alerts.values().filter(lasts).filter(|alert| plan.sees_alert(alert)).cloned().collect();
    seen.sort_by(|a, b| b.since.cmp(&a.since).then_with(|| a.id.cmp(&b.id)));
    for limit in [2, 100] {
        let (mut listed, mut after) = (Vec::new(), String::new());
        loop {
            let (status, body) = get(router, &format!("/api/v1/alerts/history?limit={limit}{after}"), token).await;
            assert_eq!(status, StatusCode::OK, "{body}");
            let page: AlertsPage = serde_json::from_str(&body).unwrap();
            assert_eq!(page.total, after.is_empty().then_some(seen.len() as u64), "counts are of the scope");
            listed.extend(page.alerts.iter().map(|alert| AlertView::clone(alert)));
            let Some(next) = page.next else { break };
            after = format!("&after={next}");
        }
        assert_eq!(listed, seen);
    }
    for alert in been.alerts.values() {
        let (status, _) = get(router, &format!("/api/v1/alerts/{}", alert.id), token).await;
        assert_eq!(status == StatusCode::OK, seen.iter().any(|seen| seen.id == alert.id), "{}: {status}", alert.id);
    }
    for asked in plan.parents.iter().copied().chain(0..2) {
        let (_, body) = get(router, &format!("/api/v1/alerts/history?limit=500&area={}", code(asked)), token).await;
        let page: AlertsPage = serde_json::from_str(&body).unwrap();
        let below = Plan { areas: vec![asked], sectors: BTreeSet::new(), ..plan.clone() };
        let of_area: Vec<&AlertView> = seen.iter().filter(|alert| below.sees_alert(alert)).collect();
        assert_eq!(page.alerts.iter().map(|alert| &**alert).collect::<Vec<_>>(), of_area);
    }
}
