//! Alerts and figures in few words, and a client that applies frames as docs/protocol.md says.

use crate::server::board::{BoardTick, FigureInput, leaves_at};
use crate::server::wire::*;
use std::collections::BTreeMap;
use std::sync::Arc;

pub fn area(code: &str) -> Option<AreaRef> {
    (code != "outside").then(|| AreaRef { code: code.to_owned(), name: format!("area {code}") })
}

/// The id is the number in 32 digits.
pub fn id(number: u32) -> String {
    format!("{number:032x}")
}

pub fn alert(number: u32, version: u32, sector: &str, area_code: &str) -> AlertView {
    AlertView {
        id: id(number),
        version,
        pipeline: format!("{sector}_loop"),
        rule: "flow_stopped".into(),
        sector: sector.into(),
        severity: Severity::Major,
        title: Text { vi: "Dòng xe đứng".into(), en: "Standstill".into() },
        area: area(area_code),
        key: BTreeMap::from([("area".to_owned(), area_code.to_owned())]),
        position: None,
        condition: Condition::Firing,
        handling: Handling::New,
        since: 1_000,
        changed: 1_000,
        resolved: None,
        reason: None,
        retroactive: false,
        acknowledged: None,
        assigned: None,
        closed: None,
        steps: vec![],
        notes: 0,
        acted: None,
        stands_for: None,
        evidence: Evidence {
            measurement: format!("{sector}_loop"),
            window_start: 0,
            window_end: 1_000,
            revision: 0,
            state: RowState::Final,
            values: BTreeMap::from([("occupancy".to_owned(), 31.5)]),
            when: "occupancy > 25".into(),
            until: None,
            for_ms: 0,
            rule_version: "0123456789ab".into(),
            heard: None,
            expected: None,
            clauses: vec![],
            case: None,
        },
    }
}

pub fn detail(alert: AlertView) -> AlertDetail {
    AlertDetail { alert, history: vec![], procedure: None, positions: vec![] }
}

pub fn figure(measurement: &str, sector: &str, area_code: &str, source: &str, start: i64, value: f64) -> FigureInput {
    let view = FigureView {
        measurement: measurement.into(),
        key: BTreeMap::from([("area".to_owned(), area_code.to_owned()), ("source".to_owned(), source.to_owned())]),
        area: area(area_code),
        start,
        end: start + 60_000,
        revision: 0,
        state: RowState::Final,
        values: BTreeMap::from([("speed".to_owned(), value)]),
        heard: None,
        expected: None,
        approx: None,
    };
    FigureInput { sector: sector.into(), view: Arc::new(view) }
}

pub fn tick(number: u64, rows: Vec<FigureInput>, alerts: Vec<AlertView>) -> BoardTick {
    let time = i64::try_from(number).unwrap() * 100;
    BoardTick { tick: TickView { number, time, live: true }, rows, alerts: alerts.into_iter().map(Arc::new).collect(), health: None }
}

/// By measurement and key.
pub type Figures = BTreeMap<(String, Vec<(String, String)>), FigureView>;

/// What a client holds, made of frames alone.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Picture {
    pub seq: u64,
    pub tick: TickView,
    pub alerts: BTreeMap<String, AlertView>,
    pub figures: Figures,
    pub health: HealthView,
    /// Every alert change told by updates, in order.
    pub told: Vec<(String, u32)>,
}

impl Picture {
    pub fn snapshot(&mut self, snapshot: &Snapshot) {
        let told = std::mem::take(&mut self.told);
        *self = Picture { seq: snapshot.seq, tick: snapshot.tick, health: snapshot.health.clone(), told, ..Picture::default() };
        for alert in &snapshot.alerts {
            self.alerts.insert(alert.id.clone(), AlertView::clone(alert));
        }
        self.put_figures(&snapshot.figures);
        self.let_leave();
    }

    pub fn update(&mut self, update: &Update) {
        assert!(update.seq >= self.seq, "the sequence fell from {} to {}", self.seq, update.seq);
        let carries = !update.alerts.is_empty() || !update.figures.is_empty();
        assert!(update.seq > self.seq || !carries, "changes under a sequence that was told before");
        self.seq = update.seq;
        self.tick = update.tick;
        for alert in &update.alerts {
            self.told.push((alert.id.clone(), alert.version));
            self.alerts.insert(alert.id.clone(), AlertView::clone(alert));
        }
        self.put_figures(&update.figures);
        if let Some(health) = &update.health {
            self.health = health.clone();
        }
        self.let_leave();
    }

    pub fn message(&mut self, text: &str) {
        match serde_json::from_str(text).unwrap() {
            ServerMessage::Snapshot(snapshot) => self.snapshot(&snapshot),
            ServerMessage::Update(update) => self.update(&update),
            other => panic!("no part of the picture: {other:?}"),
        }
    }

    fn put_figures(&mut self, figures: &[Arc<FigureView>]) {
        for figure in figures {
            let key = figure.key.clone().into_iter().collect();
            self.figures.insert((figure.measurement.clone(), key), FigureView::clone(figure));
        }
    }

    fn let_leave(&mut self) {
        let now = self.tick.time;
        self.alerts.retain(|_, alert| leaves_at(alert).is_none_or(|when| when > now));
    }

    /// What two clients with the same scope must agree in.
    pub fn shown(&self) -> (&BTreeMap<String, AlertView>, &Figures) {
        (&self.alerts, &self.figures)
    }
}

/// A source of which nothing is known but where it stands and whose it is.
pub fn source(id: &str, sector: Option<&str>, area_code: Option<&str>) -> SourceView {
    SourceView {
        id: id.into(),
        name: Text::default(),
        registered: true,
        kind: None,
        types: vec![],
        area: area_code.and_then(area),
        sector: sector.map(str::to_owned),
        position: None,
        cadence_ms: None,
        last_heard: None,
        silent: false,
        accepted: 0,
        late: 0,
        duplicate: 0,
        conflict: 0,
        rejected: 0,
        invalid_field: 0,
        worst_delay_ms: 0,
        clock_offset_ms: None,
    }
}
