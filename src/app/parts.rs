//! What the server asks of registry, store, journal, log: the answers, made of the parts that there are.
//!
//! Owns: the small adapters between the server's questions and the parts. Refuses to know: requests, scopes, sockets.
//!
//! Invariants
//! 1. Nothing here decides anything: each answer is one call to the part that knows.
//!
//! Called by: app.

use super::Doors;
use crate::driver::gate::AlertShelf;
use crate::engine::AlertId;
use crate::engine::setup::Setup;
use crate::geo::{AreaIndex, Group};
use crate::ingest::kafka::{Clock as KafkaClock, DoorError as KafkaDoorError, KafkaSettings, TopicSettings};
use crate::ingest::log::NewRecord;
use crate::server::scope::ScopeTree;
use crate::server::views::{self, Views};
use crate::server::wire::{self, AlertDetail, Catalog};
use crate::server::{
    AlertHistory, Answer, AreaShape, DoorError, DoorRecord, EventDoor, Probes, Province, RowSource, SourceBook, SourceError, TrendQuery,
    TrendSource,
};
use crate::settings::{ClockKind, Settings};
use crate::store::pages::{RowsPage, RowsQuery};
use crate::store::{self, Store};
use crate::telemetry::Telemetry;
use crate::time::Timestamp;
use anyhow::Context;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

/// The registry as the server sees it: areas in force when it was made.
pub struct Land {
    setup: Arc<Setup>,
    catalog: Arc<Catalog>,
    areas: Arc<Vec<AreaShape>>,
    /// Code → codes of itself, its ancestors and its groups.
    above: HashMap<String, BTreeSet<String>>,
    at: Timestamp,
}

impl Land {
    pub fn new(setup: &Arc<Setup>, catalog: Catalog, at: Timestamp) -> anyhow::Result<Land> {
        let index = &setup.registry.areas;
        let mut above = HashMap::new();
        for (id, area) in index.iter().filter(|(_, a)| a.in_force(at)) {
            let all = std::iter::once(id).chain(index.ancestors(id)).chain(index.groups_of(id, at));
            above.insert(area.code.clone(), all.map(|a| index.area(a).code.clone()).collect());
        }
        let drawn: serde_json::Value =
            serde_json::from_str(&index.feature_collection(at, |_| true)).context("the areas cannot be drawn as GeoJSON")?;
        let shape = |f: &serde_json::Value| {
            let text = |name: &str| f["properties"][name].as_str().map(str::to_owned);
            Some(AreaShape {
                code: text("code")?,
                name: text("name")?,
                level: text("level").unwrap_or_default(),
                parent: text("parent"),
                geometry: f["geometry"].to_string().into(),
            })
        };
        let areas: Vec<AreaShape> = drawn["features"].as_array().into_iter().flatten().filter_map(shape).collect();
        let name = |a: &AreaShape| wire::AreaName { code: a.code.clone(), name: a.name.clone(), level: a.level.clone() };
        let catalog = Catalog { areas: areas.iter().map(name).collect(), groups: groups(index, at), ..catalog };
        Ok(Land { setup: setup.clone(), catalog: Arc::new(catalog), areas: Arc::new(areas), above, at })
    }
}

/// The groups in force, with those of their members that are.
fn groups(index: &AreaIndex, at: Timestamp) -> Vec<wire::GroupView> {
    let view = |group: &Group| {
        let area = index.area(group.id);
        let members = group.members.iter().map(|id| index.area(*id)).filter(|member| member.in_force(at));
        wire::GroupView {
            code: area.code.clone(),
            name: wire::Text { vi: area.name.clone(), en: group.name_en.clone().unwrap_or_else(|| area.name.clone()) },
            level: area.level.clone(),
            members: members.map(|member| member.code.clone()).collect(),
        }
    };
    index.groups().iter().filter(|group| index.area(group.id).in_force(at)).map(view).collect()
}

impl ScopeTree for Land {
    fn within(&self, area: &str, allowed: &str) -> bool {
        area == allowed || self.above.get(area).is_some_and(|all| all.contains(allowed))
    }
}

impl Province for Land {
    fn catalog(&self) -> Arc<Catalog> {
        self.catalog.clone()
    }

    fn areas(&self) -> Arc<Vec<AreaShape>> {
        self.areas.clone()
    }

    fn source_area(&self, source: &str) -> Option<String> {
        let registry = &self.setup.registry;
        let source = registry.sources.get(source, self.at)?;
        registry.area_of_source(source, self.at).map(|a| registry.areas.area(a).code.clone())
    }
}

/// Charts from the store.
pub struct Trends(pub Arc<Store>);

impl TrendSource for Trends {
    fn trend(&self, query: TrendQuery) -> Answer<'_, Result<Vec<wire::TrendPoint>, SourceError>> {
        Box::pin(async move {
            let limit = query.limit;
            let asked = store::TrendQuery {
                measurement: query.measurement,
                tags: query.tags.into_iter().collect(),
                field: query.field,
                from: Timestamp::from_millis(query.from),
                to: Timestamp::from_millis(query.to),
            };
            let points = self.0.trend(asked).await.map_err(|e| SourceError::Unavailable(e.to_string()))?;
            let skip = points.len().saturating_sub(limit);
            let view = |p: &store::TrendPoint| wire::TrendPoint {
                start: p.start.millis(),
                value: p.value,
                state: crate::server::views::row_state(p.state),
                revision: p.revision,
            };
            Ok(points.iter().skip(skip).map(view).collect())
        })
    }
}

/// Rows from the store.
pub struct Rows(pub Arc<Store>);

impl RowSource for Rows {
    fn page(&self, query: RowsQuery) -> Answer<'_, Result<RowsPage, SourceError>> {
        Box::pin(async move { self.0.page(query).await.map_err(|e| SourceError::Unavailable(e.to_string())) })
    }
}

/// How an alert came to be.
pub struct History {
    pub alerts: Arc<AlertShelf>,
    pub views: Arc<Views>,
}

impl AlertHistory for History {
    fn detail(&self, id: AlertId) -> Answer<'_, Result<Option<AlertDetail>, SourceError>> {
        let detail = self.alerts.get(&id.to_string()).map(|alert| alert.map(|a| self.views.detail(&a)));
        Box::pin(std::future::ready(detail))
    }
}

/// Who sends, from the driver's next report and the registry.
pub struct SourceList {
    pub setup: Arc<Setup>,
    pub telemetry: Arc<Telemetry>,
}

/// The driver reports once a second.
const REPORT_WITHIN: Duration = Duration::from_secs(5);

impl SourceBook for SourceList {
    fn sources(&self) -> Answer<'_, Result<(i64, Vec<wire::SourceView>), SourceError>> {
        Box::pin(async move {
            let none = || SourceError::Unavailable("the state is being built, or the log stands still: ask again in a minute".to_owned());
            let now = self.telemetry.sources.ask(REPORT_WITHIN).await.ok_or_else(none)?;
            Ok((now.time.millis(), views::sources(&self.setup, now.time, &now.figures)))
        })
    }
}

pub struct Watch(pub Arc<Telemetry>);

impl Probes for Watch {
    fn ready(&self) -> Result<(), String> {
        self.0.ready()
    }

    fn metrics(&self) -> String {
        self.0.render()
    }
}

impl EventDoor for Doors {
    fn append(&self, records: Vec<DoorRecord>) -> Answer<'_, Result<(), DoorError>> {
        match self {
            Doors::Embedded(log) => {
                let new = |r: DoorRecord| NewRecord {
                    key: Some(r.key.into()),
                    headers: r.headers.into_iter().map(|(name, value)| (name.into(), value)).collect(),
                    value: r.body,
                    ..NewRecord::default()
                };
                let records = records.into_iter().map(new).collect();
                Box::pin(async move { log.append(records).await.map(|_| ()).map_err(|e| DoorError::Unavailable(e.to_string())) })
            }
            Doors::Kafka(door, topic) => Box::pin(async move {
                let hand_over = |r: &DoorRecord| {
                    let headers: Vec<(String, Vec<u8>)> = r.headers.iter().map(|(n, v)| (n.clone(), v.to_vec())).collect();
                    door.append(topic, Some(r.key.as_bytes()), &headers, &r.body, None)
                };
                let sent: Vec<_> = records.iter().map(hand_over).collect();
                for delivery in sent {
                    delivery.await.map_err(|e| match e {
                        KafkaDoorError::Busy => DoorError::Busy { retry_after: Duration::from_secs(1) },
                        other => DoorError::Unavailable(other.to_string()),
                    })?;
                }
                Ok(())
            }),
        }
    }
}

pub fn kafka(settings: &Settings) -> KafkaSettings {
    KafkaSettings {
        brokers: settings.kafka.brokers.clone(),
        group: settings.kafka.group.clone(),
        client_id: "ioc".into(),
        extra: settings.kafka.settings.clone(),
    }
}

pub fn topics(settings: &Settings) -> Vec<TopicSettings> {
    let clock = |kind| match kind {
        ClockKind::Broker => KafkaClock::Broker,
        ClockKind::Event => KafkaClock::Event,
    };
    settings.topics.iter().map(|(name, how)| TopicSettings { name: name.clone(), clock: clock(how.clock) }).collect()
}

/// How long a start waits for InfluxDB before it goes on without.
const INFLUX_AT_START: Duration = Duration::from_secs(1);

/// InfluxDB with its bucket; it need not be up yet: then the bucket is made when it answers.
pub async fn influx(settings: &Settings) -> anyhow::Result<Arc<Store>> {
    let i = &settings.influx;
    let config = store::influx::InfluxConfig::new(&i.url, &i.org, &i.bucket, &i.token, settings.data.join("dead-letters"));
    let store = Arc::new(Store::Influx(Box::new(store::influx::Influx::new(crate::disk::Disk::Real, config)?)));
    let (made, place) = (make_bucket(store.clone()), format!("bucket {:?} of InfluxDB at {}", i.bucket, i.url));
    let mut making = tokio::spawn(made);
    match tokio::time::timeout(INFLUX_AT_START, &mut making).await {
        Ok(made) => made?.context(place)?,
        Err(_) => {
            tracing::warn!(url = %i.url, "InfluxDB does not answer; rows wait in the spool until it does");
            tokio::spawn(async move {
                if let Ok(Err(error)) = making.await {
                    tracing::error!(%error, place, "the bucket was not made; rows wait in the spool");
                }
            });
        }
    }
    Ok(store)
}

/// Once the server answers.
async fn make_bucket(store: Arc<Store>) -> Result<(), store::influx::InfluxError> {
    let Store::Influx(influx) = &*store else { return Ok(()) };
    while !influx.health().await.well {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    influx.create_bucket(Duration::ZERO).await
}
