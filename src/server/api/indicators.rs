//! `GET /api/v1/indicators`: what plans promise, and what was reported last.
//!
//! Owns: which rows belong to an indicator, and how both are put. Refuses to know: the registry's file, how the picture is kept.
//!
//! Invariants
//! 1. Plans are public: every reader sees them. Reports are figures: only those in scope.
//!
//! Called by: the router.

use super::App;
use super::caller::Caller;
use super::problem::Refusal;
use crate::engine::setup::Setup;
use crate::registry::{Direction, Indicator};
use crate::server::wire::{
    FigureView, IndicatorBaseline, IndicatorDirection, IndicatorFigure, IndicatorTarget, IndicatorView, IndicatorsNow, Text,
};
use crate::time::Timestamp;
use axum::Json;
use axum::extract::State;
use std::sync::Arc;

/// The tag that names an indicator.
const TAG: &str = "indicator";
/// The tag of the unit that reports; its area's code where there is none.
const UNIT: &str = "unit";

#[utoipa::path(
    get, path = "/api/v1/indicators", tag = "read",
    responses(
        (status = 200, description = "What plans promise, and the newest reports in scope", body = IndicatorsNow)
    )
)]
pub async fn indicators(State(app): State<Arc<App>>, caller: Caller) -> Result<Json<IndicatorsNow>, Refusal> {
    let caller = caller.reader()?;
    let figures = app.parts.hub.figures(caller.scope, TAG.to_owned()).await?;
    let setup = app.parts.pipelines.setup();
    let indicators = setup.registry.indicators.iter().map(|indicator| view(setup, indicator, &figures));
    Ok(Json(IndicatorsNow { indicators: indicators.collect() }))
}

fn view(setup: &Setup, indicator: &Indicator, figures: &[Arc<FigureView>]) -> IndicatorView {
    let own = figures.iter().filter(|f| f.key.get(TAG) == Some(&indicator.code));
    IndicatorView {
        code: indicator.code.clone(),
        name: Text { vi: indicator.name_vi.clone(), en: indicator.name_en.clone() },
        unit: indicator.unit.clone(),
        direction: match indicator.direction {
            Direction::Up => IndicatorDirection::Up,
            Direction::Down => IndicatorDirection::Down,
        },
        cadence_ms: indicator.cadence.nominal().millis(),
        baselines: indicator
            .baselines
            .iter()
            .map(|(unit, base)| IndicatorBaseline { unit: unit.clone(), at: base.at.millis(), value: base.value })
            .collect(),
        targets: indicator
            .targets
            .iter()
            .map(|t| IndicatorTarget {
                due: t.due.millis(),
                value: t.value,
                level: t.level.clone(),
                unit: t.unit.clone(),
                until: t.until.map(Timestamp::millis),
                source: t.source.clone(),
            })
            .collect(),
        figures: own.map(|f| figure(setup, indicator, f)).collect(),
    }
}

fn figure(setup: &Setup, indicator: &Indicator, figure: &FigureView) -> IndicatorFigure {
    let personal = &setup.personal;
    let shows = |tag: &&String| *tag != TAG && !personal.tag(&figure.measurement, tag);
    let who = figure.key.get(UNIT).or(figure.area.as_ref().map(|a| &a.code));
    let end = Timestamp::from_millis(figure.end);
    IndicatorFigure {
        measurement: figure.measurement.clone(),
        key: figure.key.iter().filter(|(tag, _)| shows(tag)).map(|(tag, value)| (tag.clone(), value.clone())).collect(),
        area: figure.area.clone(),
        start: figure.start,
        end: figure.end,
        state: figure.state,
        values: figure.values.iter().filter(|(f, _)| !personal.field(&figure.measurement, f)).map(|(f, v)| (f.clone(), *v)).collect(),
        target: who.and_then(|who| setup.registry.target(&indicator.code, who, end)),
        pace: who.and_then(|who| setup.registry.pace(&indicator.code, who, end)),
    }
}
