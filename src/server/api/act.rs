//! What operators do to alerts: one act on one alert, or on many at once.
//!
//! Owns: what may be asked, the way of an action to the driver and of its answer back. Refuses to know: which acts make sense, what they
//! change; ticks; the journal.
//!
//! Invariants
//! 1. An action is taken only from who may act and on what they see.
//! 2. The answer leaves after the action's tick is durable (D2); if that takes longer than [`PATIENCE`], the caller learns that it is not known.
//! 3. Nobody overwrites what they have not seen: an old version is 409 with the alert as it is now and who changed it.
//! 4. The acts of one request share a tick.
//!
//! Called by: the router.

use super::App;
use super::caller::{Caller, InPath};
use super::problem::Refusal;
use super::read::{alert_id, known_in_scope};
use crate::engine::alert::MAX_STEPS;
use crate::engine::{Act, AlertId};
use crate::server::auth::Via;
use crate::server::parts::{ActionAnswer, ActionRequest, Handled};
use crate::server::views;
use crate::server::wire::{ActConflict, ActRequest, ActView, AlertView, BulkAnswer, BulkRequest, Problem, Text};
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// How long a request waits for its tick to be durable.
const PATIENCE: Duration = Duration::from_secs(10);
const BODY_LIMIT: usize = 64 * 1024;
const NOTE_CHARS: usize = 2_000;
const NAME_CHARS: usize = 100;
/// Alerts of one request at most.
pub const MOST: usize = 200;
const LATE: &str = "the action was handed over but is not confirmed; look at the alert before trying again";

/// Who acts, what they do, what they say to it.
struct Signed {
    by: String,
    note: String,
    act: Act,
}

#[utoipa::path(
    post, path = "/api/v1/alerts/{id}/act", tag = "act",
    params(("id" = String, Path, pattern = "^[0-9a-f]{32}$", description = "32 lower-case hexadecimal digits")),
    request_body = ActRequest,
    responses(
        (status = 200, description = "Done and durable", body = AlertView),
        (status = 400, description = "No id of an alert, or no such body", body = Problem),
        (status = 404, description = "No such alert in scope", body = Problem),
        (status = 408, description = "The body came too slowly", body = Problem),
        (status = 409, description = "It has changed since, or the act makes no sense: as it is now, and why", body = ActConflict),
        (status = 413, description = "Too long", body = Problem)
    )
)]
pub async fn act(State(app): State<Arc<App>>, caller: Caller, InPath(id): InPath<String>, body: Body) -> Result<Response, Refusal> {
    let caller = actor(caller)?;
    let id = alert_id(&id)?;
    let asked: ActRequest = read(body).await?;
    let signed = signed(&caller, asked.name.as_deref(), &asked.note, &asked.act)?;
    let unknown = || Refusal::NotFound(format!("alert {id}"));
    let known = known_in_scope(&app, &caller.scope, id).await?.ok_or_else(unknown)?;
    let handled = hand_over(&app, &caller, vec![(id, asked.version)], signed).await?.pop();
    match handled {
        Some(Handled::Done(alert)) if caller.scope.sees_alert(&alert) => Ok((StatusCode::OK, Json(alert)).into_response()),
        Some(Handled::Refused(conflict)) if caller.scope.sees_alert(&conflict.alert) => {
            Ok((StatusCode::CONFLICT, Json(conflict)).into_response())
        }
        Some(Handled::Unknown) => Ok((StatusCode::CONFLICT, Json(over(&known))).into_response()),
        _ => Err(unknown()),
    }
}

/// One act on many alerts, in one tick: `POST /api/v1/alerts/act`.
#[utoipa::path(
    post, path = "/api/v1/alerts/act", tag = "act",
    request_body = BulkRequest,
    responses(
        (status = 200, description = "What became of each alert, all in one tick", body = BulkAnswer),
        (status = 400, description = "No such body, or an alert is named twice", body = Problem),
        (status = 408, description = "The body came too slowly", body = Problem),
        (status = 413, description = "No alert, or more than 200", body = Problem)
    )
)]
pub async fn act_on_many(State(app): State<Arc<App>>, caller: Caller, body: Body) -> Result<Json<BulkAnswer>, Refusal> {
    let caller = actor(caller)?;
    let asked: BulkRequest = read(body).await?;
    if asked.alerts.is_empty() || asked.alerts.len() > MOST {
        return Err(Refusal::TooLarge(format!("alerts: 1 to {MOST} at once")));
    }
    let signed = signed(&caller, asked.name.as_deref(), &asked.note, &asked.act)?;
    let (mut answer, mut alerts, mut seen) = (BulkAnswer::default(), Vec::new(), BTreeSet::new());
    for each in &asked.alerts {
        let id = alert_id(&each.id)?;
        if !seen.insert(id) {
            return Err(Refusal::Malformed(format!("alert {id} is named twice")));
        }
        match known_in_scope(&app, &caller.scope, id).await? {
            Some(known) => alerts.push((id, each.version, known)),
            None => answer.unknown.push(each.id.clone()),
        }
    }
    if alerts.is_empty() {
        return Ok(Json(answer));
    }
    let handled = hand_over(&app, &caller, alerts.iter().map(|(id, version, _)| (*id, *version)).collect(), signed).await?;
    for ((id, _, known), handled) in alerts.into_iter().zip(handled) {
        match handled {
            Handled::Unknown => answer.conflicts.push(over(&known)),
            Handled::Done(alert) if caller.scope.sees_alert(&alert) => answer.done.push(Arc::unwrap_or_clone(alert)),
            Handled::Refused(conflict) if caller.scope.sees_alert(&conflict.alert) => {
                answer.conflicts.push(Arc::unwrap_or_clone(conflict));
            }
            _ => answer.unknown.push(id.to_string()),
        }
    }
    Ok(Json(answer))
}

/// Known, but not to the engine any more.
fn over(alert: &AlertView) -> ActConflict {
    let reason = Text {
        vi: "Cảnh báo đã kết thúc và không nhận thao tác nữa; xem trong lịch sử.".to_owned(),
        en: "The alert is over and takes no more acts; it is in the history.".to_owned(),
    };
    ActConflict { alert: alert.clone(), reason }
}

fn actor(caller: Caller) -> Result<Caller, Refusal> {
    let caller = caller.reader()?;
    if caller.guest.me.may_act {
        return Ok(caller);
    }
    Err(Refusal::NotAllowed("acting on alerts needs the role operator, local or admin".to_owned()))
}

async fn read<T: DeserializeOwned>(body: Body) -> Result<T, Refusal> {
    let body = super::body(body, BODY_LIMIT).await?;
    serde_json::from_slice(&body).map_err(|error| Refusal::Malformed(error.to_string()))
}

/// To the driver and back: what became of each alert, in order.
async fn hand_over(app: &App, caller: &Caller, alerts: Vec<(AlertId, u32)>, signed: Signed) -> Result<Vec<Handled>, Refusal> {
    let Signed { by, note, act } = signed;
    let (answer, answered) = oneshot::channel();
    let request = ActionRequest { alerts: alerts.clone(), by: by.clone(), note, act: act.clone(), answer };
    app.parts.actions.try_send(request).map_err(|_| Refusal::Busy { seconds: 1, detail: "actions wait".to_owned() })?;
    match tokio::time::timeout(PATIENCE, answered).await {
        Ok(Ok(ActionAnswer::Handled(handled))) => {
            let done = alerts.iter().zip(&handled).filter(|(_, handled)| matches!(handled, Handled::Done(_)));
            done.for_each(|((id, _), _)| caller.note(app, Some(&by), act.name(), object(*id, &act)));
            Ok(handled)
        }
        Ok(Ok(ActionAnswer::Failed(detail))) => Err(Refusal::Unavailable(detail)),
        Ok(Err(_)) | Err(_) => Err(Refusal::Unavailable(LATE.to_owned())),
    }
}

/// What an act was done to, for the audit.
fn object(id: AlertId, act: &Act) -> String {
    match act {
        Act::Assign { to } => format!("alert {id} to {to}"),
        Act::Close { verdict } => format!("alert {id} {}", views::verdict(*verdict).name()),
        Act::Step { step, done } => format!("alert {id} step {step} {}", if *done { "done" } else { "undone" }),
        Act::Acknowledge | Act::Unacknowledge | Act::Note | Act::Reopen => format!("alert {id}"),
    }
}

fn signed(caller: &Caller, name: Option<&str>, note: &str, act: &ActView) -> Result<Signed, Refusal> {
    let by = signature(caller, name)?;
    let note = note.trim().to_owned();
    if note.chars().count() > NOTE_CHARS {
        return Err(Refusal::TooLarge(format!("a note has at most {NOTE_CHARS} characters")));
    }
    match act {
        ActView::Note if note.is_empty() => return Err(Refusal::Malformed("note: what is to be noted".to_owned())),
        ActView::Assign { to } if !is_name(to.trim()) => {
            return Err(Refusal::Malformed(format!("to: who is to handle it, 1 to {NAME_CHARS} characters")));
        }
        ActView::Step { step, .. } if *step >= MAX_STEPS => {
            return Err(Refusal::Malformed(format!("step: counted from 0, at most {}", MAX_STEPS - 1)));
        }
        _ => {}
    }
    Ok(Signed { by, note, act: Act::from(act) })
}

/// The token's name; with open access the name that the person gives.
fn signature(caller: &Caller, name: Option<&str>) -> Result<String, Refusal> {
    if caller.guest.via != Via::Open {
        return Ok(caller.guest.me.name.clone());
    }
    let name = name.map(str::trim).unwrap_or_default();
    if is_name(name) { Ok(name.to_owned()) } else { Err(Refusal::Malformed(format!("name: who acts, 1 to {NAME_CHARS} characters"))) }
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().count() <= NAME_CHARS && !name.chars().any(char::is_control)
}
