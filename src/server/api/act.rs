//! What an operator does to an alert.
//!
//! Owns: the way of an action to the driver and of its answer back. Refuses to know: what an action changes; ticks; the journal.
//!
//! Invariants
//! 1. An action is taken only from who may act and on what they see.
//! 2. The answer leaves after the action's tick is durable (D2); if that takes longer than [`PATIENCE`], the caller learns that it is not known.
//! 3. Nobody overwrites what they have not seen: an old version is 409 with the alert as it is now.
//!
//! Called by: the router.

use super::App;
use super::caller::Caller;
use super::problem::Refusal;
use super::read::{alert_id, alert_in_scope};
use crate::engine::Act;
use crate::server::auth::Via;
use crate::server::parts::{ActionAnswer, ActionRequest};
use crate::server::wire::{AcknowledgeRequest, AlertView};
use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// How long a request waits for its tick to be durable.
const PATIENCE: Duration = Duration::from_secs(10);
const BODY_LIMIT: usize = 16 * 1024;
const NOTE_CHARS: usize = 2_000;
const NAME_CHARS: usize = 100;

pub async fn acknowledge(State(app): State<Arc<App>>, caller: Caller, Path(id): Path<String>, body: Body) -> Result<Response, Refusal> {
    let caller = caller.reader()?;
    if !caller.guest.me.may_act {
        return Err(Refusal::NotAllowed("acknowledging needs the role operator, local or admin".to_owned()));
    }
    let id = alert_id(&id)?;
    let body = super::body(body, BODY_LIMIT).await?;
    let asked: AcknowledgeRequest = serde_json::from_slice(&body).map_err(|error| Refusal::Malformed(error.to_string()))?;
    let by = signature(&caller, &asked)?;
    let note = asked.note.trim().to_owned();
    if note.chars().count() > NOTE_CHARS {
        return Err(Refusal::TooLarge(format!("a note has at most {NOTE_CHARS} characters")));
    }
    let unknown = || Refusal::NotFound(format!("alert {id}"));
    alert_in_scope(&app, &caller.scope, id).await?.ok_or_else(unknown)?;
    let (answer, answered) = oneshot::channel();
    let request = ActionRequest { alert: id, version: asked.version, by, note, act: Act::Acknowledge, answer };
    app.parts.actions.try_send(request).map_err(|_| Refusal::Busy { seconds: 1, detail: "actions wait".to_owned() })?;
    let answer = tokio::time::timeout(PATIENCE, answered).await;
    let late = "the action was handed over but is not confirmed; look at the alert before trying again";
    match answer.map_err(|_| Refusal::Unavailable(late.to_owned()))? {
        Ok(ActionAnswer::Done(alert)) => show(StatusCode::OK, &caller, &alert).ok_or_else(unknown),
        Ok(ActionAnswer::Stale(alert)) => show(StatusCode::CONFLICT, &caller, &alert).ok_or_else(unknown),
        Ok(ActionAnswer::Unknown) => Err(unknown()),
        Ok(ActionAnswer::Failed(detail)) => Err(Refusal::Unavailable(detail)),
        Err(_) => Err(Refusal::Unavailable(late.to_owned())),
    }
}

fn show(status: StatusCode, caller: &Caller, alert: &AlertView) -> Option<Response> {
    caller.scope.sees_alert(alert).then(|| (status, Json(alert)).into_response())
}

/// The token's name; with open access the name that the person gives.
fn signature(caller: &Caller, asked: &AcknowledgeRequest) -> Result<String, Refusal> {
    if caller.guest.via != Via::Open {
        return Ok(caller.guest.me.name.clone());
    }
    let name = asked.name.as_deref().map(str::trim).unwrap_or_default();
    if name.is_empty() || name.chars().count() > NAME_CHARS || name.chars().any(char::is_control) {
        return Err(Refusal::Malformed(format!("name: who acts, 1 to {NAME_CHARS} characters")));
    }
    Ok(name.to_owned())
}
